# gather_flags: how every target of the tree is compiled. Linked privately by the functions of GatherLayer.cmake.

option(GATHER_WERROR "Warnings are errors" OFF)
option(GATHER_COVERAGE "Count the lines that run (gcov)" OFF)
set(GATHER_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=: address,undefined or thread")
option(GATHER_FAILPOINTS "Points at which a test ends the process (src/base/failpoint.h)" OFF)
set(GATHER_SABOTAGE "" CACHE STRING
	"Break one promise, to see that the tests notice: nosync, early_ack, accept_stale or no_mark")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

include(CheckCCompilerFlag)

add_library(gather_flags INTERFACE)

target_compile_features(gather_flags INTERFACE c_std_17)
target_compile_definitions(gather_flags INTERFACE _GNU_SOURCE)
target_compile_options(gather_flags INTERFACE
	$<$<COMPILE_LANGUAGE:C>:-std=gnu17>
	$<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes>
	$<$<COMPILE_LANGUAGE:C>:-Wcast-qual;-Wwrite-strings;-Wvla>
	$<$<AND:$<COMPILE_LANGUAGE:C>,$<BOOL:${GATHER_WERROR}>>:-Werror>
	-fvisibility=hidden
	"-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=" # reports name places in the tree, wherever that lies
	-fno-omit-frame-pointer
	-fno-semantic-interposition)
target_link_options(gather_flags INTERFACE LINKER:--as-needed)

# What a sanitizer instruments must not be fortified: glibc's checked variants hide the calls from it.
if(GATHER_SANITIZE)
	target_compile_options(gather_flags INTERFACE
		-fsanitize=${GATHER_SANITIZE} -fno-sanitize-recover=all)
	target_link_options(gather_flags INTERFACE -fsanitize=${GATHER_SANITIZE})
else()
	set(hardened $<CONFIG:RelWithDebInfo,Release>)
	target_compile_options(gather_flags INTERFACE
		$<${hardened}:-fstack-protector-strong;-fstack-clash-protection;-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>)
	target_link_options(gather_flags INTERFACE $<${hardened}:LINKER:-z,relro,-z,now>)
endif()

# gcc clears and copies structures of some 100 bytes by `rep stos` and `rep movs`, whose start takes longer than the stores.
check_c_compiler_flag(-mmemset-strategy=vector_loop:1024:noalign,libcall:-1:noalign GATHER_X86_STRATEGIES)
if(GATHER_X86_STRATEGIES)
	target_compile_options(gather_flags INTERFACE
		"$<$<AND:$<COMPILE_LANGUAGE:C>,$<CONFIG:RelWithDebInfo,Release>>:-mmemset-strategy=vector_loop:1024:noalign,libcall:-1:noalign>"
		"$<$<AND:$<COMPILE_LANGUAGE:C>,$<CONFIG:RelWithDebInfo,Release>>:-mmemcpy-strategy=vector_loop:1024:noalign,libcall:-1:noalign>")
endif()

if(GATHER_FAILPOINTS)
	target_compile_definitions(gather_flags INTERFACE GATHER_FAILPOINTS)
endif()
if(GATHER_SABOTAGE)
	string(TOUPPER "${GATHER_SABOTAGE}" sabotage)
	target_compile_definitions(gather_flags INTERFACE GATHER_SABOTAGE_${sabotage})
endif()

if(GATHER_COVERAGE)
	target_compile_options(gather_flags INTERFACE --coverage -fprofile-update=atomic)
	target_link_options(gather_flags INTERFACE --coverage)
endif()
