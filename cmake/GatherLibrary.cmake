# gather_public_library(NAME
#	DESCRIPTION text
#	LAYERS names...       layers whose objects make up the library, as of gather_layer()
#	HEADERS files...      public headers, relative to include/
#	PACKAGES names...     the packages of those layers: linked, and named in NAME.pc as private requirements
#	[MODULES names...])   the same as pkg-config modules where the names differ (libevent: libevent_core)
#
# makes libNAME.so and libNAME.a out of the same objects, with NAME.pc and a CMake package (NAME::NAME, NAME::NAME_static),
# all installed. Only GA_API symbols are visible, in the archive too: its objects are joined into one whose hidden
# symbols are local, so that a user's own `buf_append` can't collide with ours.

include(CMakePackageConfigHelpers)

function(gather_public_archive name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OBJECTS")
	set(joined "${CMAKE_CURRENT_BINARY_DIR}/${name}.o")
	add_custom_command(
		OUTPUT "${joined}"
		COMMAND ${CMAKE_LINKER} -r -o "${joined}" ${arg_OBJECTS}
		COMMAND ${CMAKE_OBJCOPY} --localize-hidden "${joined}"
		DEPENDS ${arg_OBJECTS}
		COMMAND_EXPAND_LISTS VERBATIM)
	set_source_files_properties("${joined}" PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
	add_library(${name}_static STATIC "${joined}")
	set_target_properties(${name}_static PROPERTIES
		OUTPUT_NAME ${name}
		LINKER_LANGUAGE C
		ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
endfunction()

function(gather_public_library name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION" "LAYERS;HEADERS;PACKAGES;MODULES")
	set(objects "")
	foreach(layer IN LISTS arg_LAYERS)
		list(APPEND objects "$<TARGET_OBJECTS:gather_${layer}>")
	endforeach()
	if(NOT arg_MODULES)
		set(arg_MODULES ${arg_PACKAGES})
	endif()

	add_library(${name} SHARED ${objects})
	set_target_properties(${name} PROPERTIES
		LINKER_LANGUAGE C
		LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
		VERSION ${PROJECT_VERSION}
		SOVERSION ${PROJECT_VERSION_MAJOR})
	# Its own calls stay within, as the compiler takes for granted (-fno-semantic-interposition).
	target_link_options(${name} PRIVATE LINKER:-z,defs LINKER:-Bsymbolic-functions)
	target_link_libraries(${name} PRIVATE "$<BUILD_INTERFACE:gather_flags>")
	gather_public_archive(${name} OBJECTS ${objects})

	list(TRANSFORM arg_PACKAGES PREPEND PkgConfig:: OUTPUT_VARIABLE packages)
	foreach(target IN ITEMS ${name} ${name}_static)
		target_link_libraries(${target} PRIVATE ${packages} Threads::Threads)
		target_include_directories(${target} INTERFACE
			"$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
			"$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
	endforeach()

	gather_install_library(${name} "${arg_DESCRIPTION}" "${arg_HEADERS}" "${arg_PACKAGES}" "${arg_MODULES}")
endfunction()

function(gather_install_library name description headers packages modules)
	set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/${name}")
	install(TARGETS ${name} ${name}_static EXPORT ${name}-targets)
	install(EXPORT ${name}-targets NAMESPACE ${name}:: DESTINATION "${package_dir}")
	foreach(header IN LISTS headers)
		install(FILES "${PROJECT_SOURCE_DIR}/include/${header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/gather")
	endforeach()

	set(LIBRARY_NAME ${name})
	set(LIBRARY_DESCRIPTION "${description}")
	list(JOIN modules " " LIBRARY_MODULES)
	configure_file("${PROJECT_SOURCE_DIR}/cmake/library.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" @ONLY)
	install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

	set(LIBRARY_FINDS "")
	foreach(package module IN ZIP_LISTS packages modules)
		string(APPEND LIBRARY_FINDS "pkg_check_modules(${package} REQUIRED QUIET IMPORTED_TARGET ${module})\n")
	endforeach()
	configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/library-config.cmake.in"
		"${CMAKE_CURRENT_BINARY_DIR}/${name}-config.cmake"
		INSTALL_DESTINATION "${package_dir}")
	write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/${name}-config-version.cmake"
		COMPATIBILITY SameMinorVersion)
	install(FILES
		"${CMAKE_CURRENT_BINARY_DIR}/${name}-config.cmake"
		"${CMAKE_CURRENT_BINARY_DIR}/${name}-config-version.cmake"
		DESTINATION "${package_dir}")
endfunction()
