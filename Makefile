# The front door. Each target does what it needs first: `make demo` on a fresh Debian 12 installs, builds and runs.
.DEFAULT_GOAL := build
.PHONY: help setup setup-test build demo test test-clients bench asan native sim fuzz mutants format pictures tidy lint sbom hooks clean distclean

# The demo's knobs, for instance: make demo DEPLOYMENT=standalone GRANULARITY=node CLIENTS=100 PROCESSES=5 REQUESTS=50000
DEPLOYMENT  ?= coordinator
GRANULARITY ?= parts
CLIENTS     ?= 500
PROCESSES   ?= 10
REQUESTS    ?= 1000000

# How many seeds of the simulator.
SEEDS ?= 2000

# How many times each planted bug is hunted, each time with other seeds.
ROUNDS ?= 1

# Which client libraries and applications: those whose names have one of these words in them; all if there is none.
ONLY ?=

# How long each fuzzer runs.
SECONDS ?= 10

# $(call cmake,PRESET): configures, then builds. CMake itself notices when it has to configure again, but for new presets.
folder = $(if $(filter release,$1),build,build/$1)
configure = cmake --preset $1 && touch $(call folder,$1)/configured
cmake = @test $(call folder,$1)/configured -nt CMakePresets.json || { $(call configure,$1); } && cmake --build --preset $1

help:       ## lists the targets
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

setup:      ## installs what the build needs (only what is missing)
	@scripts/setup.sh build

setup-test: ## installs that, and what tests, benchmarks, formatter and linter need
	@scripts/setup.sh test

build: setup  ## builds everything into build/: bin/synod, components/*.wasm, nodes/*.wasm
	$(call cmake,release)

demo: setup  ## runs a cluster with clients (DEPLOYMENT, GRANULARITY, CLIENTS, PROCESSES, REQUESTS); builds what that takes
	$(call cmake,release) --target demo-$(DEPLOYMENT)-$(GRANULARITY)
	build/bin/synod demo --deployment $(DEPLOYMENT) --granularity $(GRANULARITY) --clients $(CLIENTS) --processes $(PROCESSES) \
		--requests $(REQUESTS)

test: setup-test tidy build asan  ## builds and runs all tests: unit and component tests under sanitizers first, then everything
	$(call cmake,mutants)
	$(call cmake,fuzz)
	@ctest --preset release

test-clients: build  ## runs client libraries and applications against a cluster (all of tests/clients, or ONLY="redis-py go")
	@scripts/setup.sh clients
	@build/tools/venv/bin/python tests/clients/all.py $(ONLY)

bench: setup-test build  ## runs the demo's load and others against this project and its peers (half an hour)
	build/tools/venv/bin/python bench/pairs.py build/bin/synod build/bin/synod:granularity=node build/bin/synod:native \
		redis:always redis:replicas etcd

asan: setup-test  ## unit and component tests under address and undefined-behaviour sanitizers
	$(call cmake,asan)
	@ctest --preset asan

native: setup  ## everything that needs no WebAssembly component, with its unit tests
	$(call cmake,native)
	@ctest --preset native

sim: build  ## runs SEEDS seeds of the simulator on all cores; prints what happened and what was reached
	build/bin/synod-sim --seeds $(SEEDS)

fuzz: setup-test  ## runs each fuzzer for SECONDS, a line each; what they find worth keeping goes to build/fuzz/corpus/
	$(call cmake,fuzz)
	@fuzz/run.sh build/fuzz $(SECONDS)

mutants: setup  ## plants each bug of mutants/, which the simulator must find (ROUNDS times)
	$(call cmake,mutants)
	@build/mutants/bin/synod-sim --mutants --rounds $(ROUNDS)

format: setup-test  ## formats the C sources
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format-19 -i

pictures:   ## draws the pictures of the documentation anew (needs graphviz)
	@scripts/pictures

tidy: setup-test  ## looks for what breaks the habits of the house: format, includes, references (seconds)
	@scripts/tidy

lint: setup-test build  ## runs clang-tidy over the C sources (minutes)
	@git ls-files -co --exclude-standard 'core/*.c' 'io/*.c' 'host/*.c' 'load/*.c' 'local/*.c' 'cli/*.c' 'lab/*.c' 'sim/*.c' | xargs -r clang-tidy-19 -quiet -p build

sbom:       ## writes build/sbom.cdx.json, a bill of all materials that are pinned (CycloneDX)
	@mkdir -p build && scripts/sbom >build/sbom.cdx.json.new && mv build/sbom.cdx.json.new build/sbom.cdx.json

hooks:      ## has git run scripts/tidy before each commit
	@install -m 755 scripts/pre-commit "$$(git rev-parse --git-path hooks)/pre-commit"

clean:      ## removes what was built; installed tools stay
	rm -rf build

distclean:  ## removes this version's installed tools too (Debian packages stay)
	@if [ -L build/tools ]; then rm -rf "$$(readlink build/tools)"; fi
	rm -rf build
