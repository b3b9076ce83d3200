# How a WebAssembly component is made from C:
#
#   wit/*.wit --bindings--> gen/<part>/<world>.{c,h}, world.h        C bindings of the part's world
#   *.c --clang-19--> wasm/**/*.o --lld--> wasm/<part>/core.wasm     one core module
#   core.wasm --component--> components/<part>.wasm                  with the imports of its world and no others
#   *.wac, components --compose--> nodes/<node>.wasm                 compositions/CMakeLists.txt
#
# All of it in the binary folder. `bindings`, `component` and `compose` are the steps of scripts/wasm-build.

set(wasm_build ${PROJECT_BINARY_DIR}/bin/wasm-build)
synod_crate(wasm-build ${wasm_build} scripts/wasm-build wasm-build)

# The one header that core/ takes from outside is all code (xxhash): it comes along without the rest of /usr/include.
file(COPY ${libxxhash_INCLUDEDIR}/xxhash.h DESTINATION ${PROJECT_BINARY_DIR}/wasm/include)

set(wasm_flags
  --target=wasm32-wasi -O2
  -mbulk-memory           # or there is no memory.copy
  -fno-strict-aliasing    # shims cast between our structs and the bindings'
  -I${PROJECT_SOURCE_DIR} -isystem ${PROJECT_BINARY_DIR}/wasm/include)
set(wasm_warnings -std=c11 -Wall -Wextra -Wshadow -Wconversion -Werror)
set(wasm_link_flags
  --target=wasm32-wasi -mexec-model=reactor -O2
  -Wl,--stack-first,-z,stack-size=262144 # the stack first: its overflow traps instead of overwriting data
  -Wl,--strip-debug) # of the C library, which is most of a small part

# synod_wit_folder(FOLDER FILES...): a folder of links to FILES, with the WIT packages of WASI beside them for worlds that
# import WASI. The bindings of a world are made from one folder.
function(synod_wit_folder folder)
  file(REMOVE_RECURSE ${folder})
  file(MAKE_DIRECTORY ${folder})
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME)
    file(CREATE_LINK ${file} ${folder}/${name} SYMBOLIC)
  endforeach()
  set(deps ${PROJECT_SOURCE_DIR}/wit/deps)
  if(NOT EXISTS ${deps})
    set(deps ${tools}/wasi-wit)
  endif()
  file(CREATE_LINK ${deps} ${folder}/deps SYMBOLIC)
endfunction()

file(GLOB wit_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/wit/*.wit)
synod_wit_folder(${PROJECT_BINARY_DIR}/wit ${wit_files})

# wasm_object(LIST SOURCE OBJECT [FLAGS flags...] [DEPENDS files...]): compiles SOURCE to OBJECT, and appends that to LIST.
function(wasm_object list source object)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "FLAGS;DEPENDS")
  get_filename_component(folder ${object} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  file(RELATIVE_PATH shown ${PROJECT_BINARY_DIR} ${object})
  add_custom_command(
    OUTPUT ${object}
    COMMAND clang-19 ${wasm_flags} ${arg_FLAGS} -MD -MF ${object}.d -c ${source} -o ${object}
    DEPENDS ${source} ${arg_DEPENDS}
    DEPFILE ${object}.d
    COMMENT "Compiling ${shown}"
    VERBATIM)
  list(APPEND ${list} ${object})
  set(${list} ${${list}} PARENT_SCOPE)
endfunction()

# All of core, compiled for WebAssembly once. A component's own objects come before it on the linker's line, so an import.c
# that implements proposer.h keeps proposer.c out, and what nobody calls stays out anyway.
set(wasm_core ${PROJECT_BINARY_DIR}/wasm/libcore.a)
foreach(source ${core_sources})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${source})
  wasm_object(core_objects ${source} ${PROJECT_BINARY_DIR}/wasm/${name}.o FLAGS ${wasm_warnings})
endforeach()
add_custom_command(
  OUTPUT ${wasm_core}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${wasm_core} # or objects of deleted files stay in it
  COMMAND llvm-ar-19 rcs ${wasm_core} ${core_objects}
  DEPENDS ${core_objects}
  COMMENT "Archiving wasm/libcore.a"
  VERBATIM)
add_custom_target(wasm-core DEPENDS ${wasm_core}) # so that it is made once, not once for each component at a time

# synod_component(NAME [WORLD world] [SOURCES files...] [USES parts...] [OUTPUT folder] [WIT folder WIT_FILES files...] [PLAIN])
#
# Makes NAME.wasm in the folder OUTPUT of the binary folder (by default components/).
#   WORLD    by default NAME-world; sources include its bindings as "world.h", for an import.c serves several worlds
#   SOURCES  paths from the top of the project, by default components/NAME/export.c; what they call in core/ is linked too
#   USES     the parts that it reaches through imports: components/<part>/import.c takes the place of that part's core file
#   WIT      a synod_wit_folder made of WIT_FILES, by default that of wit/*.wit
#   PLAIN    without the memory management of components/shim.h
# A component whose first source does not exist yet is left out.
function(synod_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "PLAIN" "WORLD;OUTPUT;WIT" "SOURCES;USES;WIT_FILES")
  if(NOT arg_WIT)
    set(arg_WIT ${PROJECT_BINARY_DIR}/wit)
    set(arg_WIT_FILES ${wit_files})
  endif()
  if(NOT arg_WORLD)
    set(arg_WORLD ${name}-world)
  endif()
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT components)
  endif()
  if(NOT arg_SOURCES)
    set(arg_SOURCES components/${name}/export.c)
  endif()
  list(GET arg_SOURCES 0 first)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${first})
    message(STATUS "No component ${name} yet: there is no ${first}")
    return()
  endif()
  foreach(part ${arg_USES})
    list(APPEND arg_SOURCES components/${part}/import.c)
  endforeach()
  set(bindings_flags -w) # generated code is not ours to warn about
  if(NOT arg_PLAIN)
    list(APPEND arg_SOURCES components/shim.c)
    list(APPEND bindings_flags -Dfree=shim_free) # components/shim.h
  endif()

  string(REPLACE - _ world ${arg_WORLD})
  set(gen ${PROJECT_BINARY_DIR}/gen/${name})
  set(type ${gen}/${world}_component_type.o)
  file(CONFIGURE OUTPUT ${gen}/world.h CONTENT "#include \"${world}.h\"\n")
  add_custom_command(
    OUTPUT ${gen}/${world}.c ${gen}/${world}.h ${type}
    COMMAND ${wasm_build} bindings ${arg_WIT} ${arg_WORLD} ${gen}
    DEPENDS ${arg_WIT_FILES} ${wasm_build}
    COMMENT "Generating gen/${name}"
    VERBATIM)

  set(wasm ${PROJECT_BINARY_DIR}/wasm/${name})
  wasm_object(objects ${gen}/${world}.c ${wasm}/bindings.o FLAGS ${bindings_flags} -I${gen})
  foreach(source ${arg_SOURCES})
    wasm_object(objects ${PROJECT_SOURCE_DIR}/${source} ${wasm}/${source}.o
      FLAGS ${wasm_warnings} -I${gen} DEPENDS ${gen}/${world}.h)
  endforeach()
  add_custom_command(
    OUTPUT ${wasm}/core.wasm
    COMMAND clang-19 ${wasm_link_flags} ${objects} ${type} ${wasm_core} -o ${wasm}/core.wasm
    DEPENDS ${objects} ${type} ${wasm_core} wasm-core
    COMMENT "Linking wasm/${name}/core.wasm"
    VERBATIM)

  set(component ${PROJECT_BINARY_DIR}/${arg_OUTPUT}/${name}.wasm)
  add_custom_command(
    OUTPUT ${component}
    COMMAND ${wasm_build} component ${wasm}/core.wasm ${component}
    DEPENDS ${wasm}/core.wasm ${wasm_build}
    COMMENT "Making ${arg_OUTPUT}/${name}.wasm"
    VERBATIM)
  add_custom_target(component-${name} ALL DEPENDS ${component})
  set_property(GLOBAL APPEND PROPERTY synod_${arg_OUTPUT} ${component})
endfunction()

# synod_compose(OUT FILE.wac NAME=COMPONENT...): one component out of several, which FILE.wac calls synod:NAME; a COMPONENT is
# a path in the binary folder.
function(synod_compose out wac)
  foreach(part ${ARGN})
    string(REGEX REPLACE "=.*" "" part_name ${part})
    string(REGEX REPLACE ".*=" ${PROJECT_BINARY_DIR}/ path ${part})
    list(APPEND names synod:${part_name}=${path})
    list(APPEND paths ${path})
  endforeach()
  add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/${out}
    COMMAND ${wasm_build} compose ${CMAKE_CURRENT_SOURCE_DIR}/${wac} ${PROJECT_BINARY_DIR}/${out} ${names}
    DEPENDS ${wac} ${paths} ${wasm_build}
    COMMENT "Composing ${out}"
    VERBATIM)
  string(REPLACE / - target ${out})
  add_custom_target(${target} ALL DEPENDS ${PROJECT_BINARY_DIR}/${out})
endfunction()
