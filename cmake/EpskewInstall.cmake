# The C++ library for other projects: `cmake --install BUILD --component library --prefix P`, then find_package(epskew)
# with P on CMAKE_PREFIX_PATH, and epskew::workload, epskew::trace, epskew::fit or epskew::exchange (the oracle).
include(CMakePackageConfigHelpers)
set(library_modules support routing workload trace fit exchange)
set(library_config ${CMAKE_CURRENT_BINARY_DIR}/epskewConfig.cmake)
set(library_folder ${CMAKE_INSTALL_LIBDIR}/cmake/epskew)

foreach(module IN LISTS library_modules)
  set_target_properties(epskew_${module} PROPERTIES EXPORT_NAME ${module})
  install(TARGETS epskew_${module} EXPORT epskew ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/epskew/${module} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/epskew
    COMPONENT library)
endforeach()
install(TARGETS epskew_third_party epskew_compiler EXPORT epskew COMPONENT library)
install(EXPORT epskew NAMESPACE epskew:: FILE epskewTargets.cmake DESTINATION ${library_folder} COMPONENT library)

file(CONFIGURE OUTPUT ${library_config} @ONLY CONTENT [[
include(CMakeFindDependencyMacro)
find_dependency(fmt 9)
find_dependency(nlohmann_json 3.11)
find_dependency(PkgConfig)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
include(${CMAKE_CURRENT_LIST_DIR}/epskewTargets.cmake)
]])
write_basic_package_version_file(${library_config}Version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${library_config} DESTINATION ${library_folder} COMPONENT library)
install(FILES ${library_config}Version.cmake DESTINATION ${library_folder} RENAME epskewConfigVersion.cmake
  COMPONENT library)
