# How a WebAssembly component is made from C:
#
#   core/*/*.c --clang-19--> wasm/libcore.a                          what is in it, as in the native library
#   io/*.c, components/wasi/*.c --clang-19--> wasm/libio.a           for components that use WASI: io/ over WASI
#   wit/*.wit --bindings--> gen/<part>/<world>.{c,h}, world.h        C bindings of the part's world
#   *.c --clang-19--> wasm/**/*.o --lld--> wasm/<part>/core.wasm     one core module
#   core.wasm --component--> components/<part>.wasm                  with the imports of its world and no others
#   components --compose--> nodes/<node>.wasm                        compositions/compose.sh
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

# synod_bindings(NAME WORLD WIT FILES...): the rule that makes gen/NAME/<world>.{c,h} for WORLD from the synod_wit_folder
# WIT, which is made of FILES; and gen/NAME/world.h, which includes that header and gives its type of strings the name
# `world_string_t`, so that one source can serve several worlds.
function(synod_bindings name world_name wit)
  string(REPLACE - _ world ${world_name})
  set(gen ${PROJECT_BINARY_DIR}/gen/${name})
  file(CONFIGURE OUTPUT ${gen}/world.h CONTENT "#include \"${world}.h\"\n#define world_string_t ${world}_string_t\n")
  add_custom_command(
    OUTPUT ${gen}/${world}.c ${gen}/${world}.h ${gen}/${world}_component_type.o
    COMMAND ${wasm_build} bindings ${wit} ${world_name} ${gen}
    DEPENDS ${ARGN} ${wasm_build}
    COMMENT "Generating gen/${name}"
    VERBATIM)
endfunction()

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

# wasm_archive(NAME SOURCES files... [FLAGS flags...] [DEPENDS files...]): wasm/NAME.a of SOURCES (paths in the project),
# compiled once for all components; the target wasm-NAME.
function(wasm_archive name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;FLAGS;DEPENDS")
  set(archive ${PROJECT_BINARY_DIR}/wasm/${name}.a)
  foreach(source ${arg_SOURCES})
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${source})
    wasm_object(objects ${source} ${PROJECT_BINARY_DIR}/wasm/${path}.o FLAGS ${wasm_warnings} ${arg_FLAGS} DEPENDS ${arg_DEPENDS})
  endforeach()
  add_custom_command(
    OUTPUT ${archive}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive} # or objects of deleted files stay in it
    COMMAND llvm-ar-19 rcs ${archive} ${objects}
    DEPENDS ${objects}
    COMMENT "Archiving wasm/${name}.a"
    VERBATIM)
  add_custom_target(wasm-${name} DEPENDS ${archive}) # so that it is made once, not once for each component at a time
endfunction()

# All of core. A component's own objects come before it on the linker's line, so an import.c that implements proposer.h keeps
# proposer.c out, and what nobody calls stays out anyway.
wasm_archive(libcore SOURCES ${core_sources})

# All of io, and what it stands on in a component: components/wasi. It calls WASI by the header of one set of bindings,
# those of the world `wasi-library`; the functions are those of the component's own bindings, which are the same under the
# same names.
set(wasi_flags -D_GNU_SOURCE -I${PROJECT_SOURCE_DIR}/components/wasi/include)
set(wasi_link_flags -lc-printscan-no-floating-point) # io/ prints and reads no floats
synod_bindings(wasi-library wasi-library ${PROJECT_BINARY_DIR}/wit ${wit_files})
file(GLOB wasi_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/io/*.c ${PROJECT_SOURCE_DIR}/io/uv/*.c
     ${PROJECT_SOURCE_DIR}/components/wasi/*.c)
wasm_archive(libio SOURCES ${wasi_sources}
  FLAGS ${wasi_flags} -I${PROJECT_BINARY_DIR}/gen/wasi-library
  DEPENDS ${PROJECT_BINARY_DIR}/gen/wasi-library/wasi_library.h)

# synod_component(NAME [WORLD world] [SOURCES files...] [USES parts...] [OUTPUT folder] [WIT folder WIT_FILES files...]
#                 [FLAGS flags...] [WASI | PLAIN])
#
# Makes NAME.wasm in the folder OUTPUT of the binary folder (by default components/).
#   WORLD    by default NAME-world; sources include its bindings as "world.h", because one source serves several worlds
#   SOURCES  paths from the top of the project, by default components/NAME/export.c; what they call in core/ is linked too
#   USES     the parts that it reaches through imports: components/<part>/import.c takes the place of that part's core file
#   FLAGS    for the compiler, with SOURCES only
#   WIT      a synod_wit_folder made of WIT_FILES, by default that of wit/*.wit
#   WASI     what it calls in io/ and components/wasi/ is linked as well
#   PLAIN    without the memory management of components/shim.h
# A component whose first source does not exist yet is left out.
function(synod_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "PLAIN;WASI" "WORLD;OUTPUT;WIT" "SOURCES;USES;WIT_FILES;FLAGS")
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
  set(own_sources ${arg_SOURCES})
  foreach(part ${arg_USES})
    list(APPEND arg_SOURCES components/${part}/import.c)
  endforeach()
  set(bindings_flags -w) # generated code is not ours to warn about
  if(NOT arg_PLAIN)
    list(APPEND arg_SOURCES components/shim.c)
    list(APPEND bindings_flags -Dfree=shim_free) # components/shim.h
  endif()

  set(archives libcore)
  set(flags)
  set(link_flags)
  if(arg_WASI)
    set(archives libio libcore)
    set(flags ${wasi_flags})
    set(link_flags ${wasi_link_flags})
  endif()
  list(TRANSFORM archives PREPEND ${PROJECT_BINARY_DIR}/wasm/ OUTPUT_VARIABLE archive_files)
  list(TRANSFORM archive_files APPEND .a)
  list(TRANSFORM archives PREPEND wasm- OUTPUT_VARIABLE archive_targets)

  string(REPLACE - _ world ${arg_WORLD})
  set(gen ${PROJECT_BINARY_DIR}/gen/${name})
  set(type ${gen}/${world}_component_type.o)
  synod_bindings(${name} ${arg_WORLD} ${arg_WIT} ${arg_WIT_FILES})
  set(wasm ${PROJECT_BINARY_DIR}/wasm/${name})
  wasm_object(objects ${gen}/${world}.c ${wasm}/bindings.o FLAGS ${bindings_flags} -I${gen})
  foreach(source ${arg_SOURCES})
    set(source_flags ${wasm_warnings} ${flags} -I${gen})
    if(source IN_LIST own_sources)
      list(APPEND source_flags ${arg_FLAGS})
    endif()
    wasm_object(objects ${PROJECT_SOURCE_DIR}/${source} ${wasm}/${source}.o FLAGS ${source_flags} DEPENDS ${gen}/${world}.h)
  endforeach()
  add_custom_command(
    OUTPUT ${wasm}/core.wasm
    COMMAND clang-19 ${wasm_link_flags} ${objects} ${type} ${archive_files} ${link_flags} -o ${wasm}/core.wasm
    DEPENDS ${objects} ${type} ${archive_files} ${archive_targets}
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

# synod_compose(OUT FILE.wac NAME=COMPONENT...): one component out of several, which FILE.wac calls synod:NAME; a
# COMPONENT is a path in the binary folder.
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
