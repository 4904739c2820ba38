# A toolchain file: aarch64 by Debian's cross compiler, tests run under qemu-user. GATHER_SYSROOT has that architecture's
# packages; tests/tools/check-aarch64 fetches them.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES GATHER_SYSROOT)

set(CMAKE_SYSROOT "${GATHER_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${GATHER_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${GATHER_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${GATHER_SYSROOT}/usr/share/pkgconfig")
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64;-L;${GATHER_SYSROOT}")
