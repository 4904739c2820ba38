# Targets of the tree. A directory's CMakeLists.txt is a few lines:
#
#	src/engine/CMakeLists.txt    gather_layer(engine SOURCES job.c queue.c LAYERS base)
#	src/conf/CMakeLists.txt      gather_layer(conf SOURCES table.c load.c LAYERS base PACKAGES libconfuse)
#	src/supervisor/CMakeLists.txt
#		gather_layer(supervisor SOURCES child.c cpu.c LAYERS base conf role PACKAGES libsystemd)
#		gather_executable(gatherd SOURCES main.c LAYERS supervisor broker worker types)
#		gather_export_runtime(gatherd LAYERS async worker)
#	workers/CMakeLists.txt       gather_worker_type(sleep SOURCES sleep.c)
#	tests/unit/CMakeLists.txt    gather_unit_test(test_queue SOURCES test_queue.c LIBS gather_engine)
#
# LAYERS are names of other layers, PACKAGES the names in GatherPackages.cmake (libevent, openssl, jansson, ...).
# A layer's target is gather_<name>. It exposes its own directory as an include directory and, through LAYERS, those
# of the layers below it: headers are included by their bare name ("list.h"), which is unique in the tree, and a
# header of a layer that isn't listed fails to compile. Public headers are <gather/x.h>, visible to every layer.
# PACKAGES of a layer are not passed on to its users' compilers, only to their linkers.

set(GATHER_BIN_DIR "${CMAKE_BINARY_DIR}/bin")
set(GATHER_WORKERS_DIR "${CMAKE_BINARY_DIR}/lib/gather/workers")

add_library(gather_headers INTERFACE)
target_include_directories(gather_headers INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>")

function(gather_link_parts target)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LAYERS;PACKAGES")
	target_link_libraries(${target} PUBLIC gather_headers PRIVATE gather_flags)
	list(TRANSFORM arg_LAYERS PREPEND gather_)
	target_link_libraries(${target} PUBLIC ${arg_LAYERS})
	list(TRANSFORM arg_PACKAGES PREPEND PkgConfig::)
	target_link_libraries(${target} PRIVATE ${arg_PACKAGES} Threads::Threads)
endfunction()

# gather_layer(NAME SOURCES files... [FOLDERS names...] [LAYERS names...] [PACKAGES names...])
# FOLDERS sort the files of a large layer; they are one layer all the same, and see each other's headers.
function(gather_layer name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;FOLDERS;LAYERS;PACKAGES")
	add_library(gather_${name} STATIC ${arg_SOURCES})
	set_target_properties(gather_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
	list(TRANSFORM arg_FOLDERS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
	target_include_directories(gather_${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}" ${arg_FOLDERS})
	gather_link_parts(gather_${name} LAYERS ${arg_LAYERS} PACKAGES ${arg_PACKAGES})
endfunction()

# gather_executable(NAME SOURCES files... [LAYERS names...] [PACKAGES names...]): into build/bin, and installed.
function(gather_executable name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LAYERS;PACKAGES")
	add_executable(${name} ${arg_SOURCES})
	set_target_properties(${name} PROPERTIES
		POSITION_INDEPENDENT_CODE ON
		RUNTIME_OUTPUT_DIRECTORY "${GATHER_BIN_DIR}")
	gather_link_parts(${name} LAYERS ${arg_LAYERS} PACKAGES ${arg_PACKAGES})
	install(TARGETS ${name} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endfunction()

# gather_export_runtime(PROGRAM LAYERS names...): the program exports what these layers offer to the modules that it
# loads, used by itself or not. Their objects are linked in as they are: an archive would leave out what nobody names.
function(gather_export_runtime program)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LAYERS")
	set_target_properties(${program} PROPERTIES ENABLE_EXPORTS ON)
	foreach(layer IN LISTS arg_LAYERS)
		target_sources(${program} PRIVATE $<TARGET_OBJECTS:gather_${layer}>)
	endforeach()
endfunction()

# gather_worker_type(NAME SOURCES files... [PACKAGES names...]): a module with job types. It sees public headers only;
# ga_ symbols come from the program that loads it.
function(gather_worker_type name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PACKAGES")
	add_library(worker_${name} MODULE ${arg_SOURCES})
	set_target_properties(worker_${name} PROPERTIES
		PREFIX ""
		OUTPUT_NAME ${name}
		LIBRARY_OUTPUT_DIRECTORY "${GATHER_WORKERS_DIR}")
	gather_link_parts(worker_${name} PACKAGES ${arg_PACKAGES})
	install(TARGETS worker_${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/gather/workers")
endfunction()

# check_programs builds what only tests need: unit tests, and whatever else add_dependencies() gives it.
add_custom_target(check_programs)
file(WRITE "${CMAKE_BINARY_DIR}/tests/unit/programs.txt" "")

# gather_unit_test(NAME SOURCES files... [LIBS targets...]): a cmocka program that prints TAP, for `prove`.
# Not built by default; tests/unit/programs.txt in the build tree lists them for tests/tools/check.
function(gather_unit_test name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
	add_executable(${name} EXCLUDE_FROM_ALL ${arg_SOURCES})
	add_dependencies(check_programs ${name})
	file(APPEND "${CMAKE_BINARY_DIR}/tests/unit/programs.txt" "${name}\n")
	set_target_properties(${name} PROPERTIES
		POSITION_INDEPENDENT_CODE ON
		RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/unit")
	target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests/unit")
	target_link_libraries(${name} PRIVATE ${arg_LIBS} PkgConfig::cmocka)
	gather_link_parts(${name})
endfunction()
