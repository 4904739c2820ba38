# The verbs people type. CMake does the work: see CMakePresets.json and cmake/.

prefix ?= /usr/local

.PHONY: build demo check torture coverage bench bench-async install lint format clean

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

# Every way to make it lose a job, for half an hour; `make check` has the short form. docs/torture.md tells of it.
torture: build
	@config/install-packages build test
	@cmake --build --preset release --target check_programs >/dev/null
	@tests/crash/torture full

# Which lines the tests reach; `make coverage E2E=--e2e` with the end-to-end tests.
coverage:
	@config/install-packages build test coverage
	@tests/tools/coverage $(E2E)

bench: build
	@bench/run $(BENCH)

# libgather beside other runtimes; `make bench-async BENCH=--quick` is the short form.
bench-async: build
	@bench/run --suite async $(BENCH)

# Without building: `make` is for the user, `sudo make install` for root. The prefix is compiled in.
install:
	@grep -qx 'CMAKE_INSTALL_PREFIX:[A-Z]*=$(prefix)' build/CMakeCache.txt 2>/dev/null \
		&& test -x build/bin/gatherd \
		|| { echo "nothing is built for prefix=$(prefix): run \`make prefix=$(prefix)\` first" >&2; exit 1; }
	@DESTDIR=$(DESTDIR) cmake --install build

lint:
	@config/install-packages build lint
	@tests/tools/lint

format:
	@config/install-packages lint
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build
