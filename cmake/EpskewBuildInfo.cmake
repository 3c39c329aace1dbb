# epskew_build_info(<target>): gives the target the header report/build_info_generated.hpp: compiler, flags, version, and
# the commit, looked up at every build and rewritten only when it changed.
set(EPSKEW_BUILD_INFO_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/WriteBuildInfo.cmake)

function(epskew_build_info target)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/generated)
  set(header ${folder}/report/build_info_generated.hpp)
  find_package(Git QUIET)
  add_custom_target(${target}_build_info BYPRODUCTS ${header}
    COMMAND ${CMAKE_COMMAND} -DHEADER=${header} -DGIT=${GIT_EXECUTABLE} -DSOURCE=${PROJECT_SOURCE_DIR}
      "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" "-DFLAGS=${flags}"
      -DTYPE=${CMAKE_BUILD_TYPE} -DVERSION=${PROJECT_VERSION} -P ${EPSKEW_BUILD_INFO_SCRIPT} VERBATIM
    COMMENT "")
  add_dependencies(${target} ${target}_build_info)
  target_include_directories(${target} PRIVATE ${folder})
endfunction()
