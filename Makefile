# The verbs people type. CMake does the work: see CMakePresets.json and cmake/.

prefix ?= /usr/local

.PHONY: build demo check bench install lint format clean

build:
	@config/install-packages build
	@mkdir -p build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(prefix) >build/configure.log 2>&1 \
		|| { cat build/configure.log; exit 1; }
	@cmake --build --preset release

demo: build
	@examples/demo.sh

check:
	@config/install-packages build test
	@tests/tools/check

bench: build
	@bench/run $(BENCH)

install: build
	@DESTDIR=$(DESTDIR) cmake --install build

lint:
	@config/install-packages build lint
	@tests/tools/lint

format:
	@config/install-packages lint
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build
