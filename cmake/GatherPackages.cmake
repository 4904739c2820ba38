# The libraries that the tree uses, each found once: PkgConfig::<name> for the names on the left.
# config/debian-packages.txt lists the Debian packages that they come from.

find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

function(gather_package name modules)
	pkg_check_modules(${name} REQUIRED QUIET IMPORTED_TARGET GLOBAL ${modules})
	message(STATUS "${modules}: ${${name}_VERSION}")
endfunction()

gather_package(libevent libevent_core>=2.1.12)
gather_package(libcurl libcurl>=7.88)
gather_package(libcares libcares>=1.18)
gather_package(openssl openssl>=3.0)
gather_package(cmocka cmocka>=1.1.5)
if(GATHER_LIBRARY_ONLY)
	return()
endif()

gather_package(libzmq libzmq>=4.3)
gather_package(libmicrohttpd libmicrohttpd>=0.9.75)
gather_package(jansson jansson>=2.14)
gather_package(libconfuse libconfuse>=3.3)
gather_package(sqlite3 sqlite3>=3.40)
gather_package(libsystemd libsystemd>=252)
gather_package(glib glib-2.0>=2.68)
