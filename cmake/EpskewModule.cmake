# epskew_module(<name> SOURCES <file>... [DEPS <module>...]): one folder under src/ as the static library epskew_<name>.
function(epskew_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  list(TRANSFORM arg_DEPS PREPEND epskew_)
  add_library(epskew_${name} STATIC ${arg_SOURCES})
  set_target_properties(epskew_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_features(epskew_${name} PUBLIC cxx_std_20)
  target_include_directories(epskew_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(epskew_${name} PUBLIC ${arg_DEPS} epskew_third_party PRIVATE epskew_compiler)
endfunction()

# epskew_test(<name> SOURCES <file>... DEPS <module>... [LABELS <label>...] [TIMEOUT <s>]): one GoogleTest
# executable and one ctest entry; a run that executes no test is an error.
function(epskew_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  list(TRANSFORM arg_DEPS PREPEND epskew_)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE EPSKEW_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPS} epskew_compiler rapidcheck GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
    FAIL_REGULAR_EXPRESSION "0 tests from 0 test suites ran" SKIP_REGULAR_EXPRESSION "^\\[  SKIPPED \\] all")
endfunction()
