# What the Python package needs: a Python with its headers, and nanobind in it. tools/python-env makes an environment
# that has both; it is taken where nothing else is asked for with -DPython_EXECUTABLE.
set(epskew_environment ${PROJECT_SOURCE_DIR}/build/python/bin/python)
if(NOT DEFINED Python_EXECUTABLE AND NOT SKBUILD AND EXISTS ${epskew_environment})
  set(Python_EXECUTABLE ${epskew_environment})
endif()
if(NOT EPSKEW_ENABLE_PYTHON STREQUAL "OFF")
  find_package(Python 3.11 QUIET COMPONENTS Interpreter Development.Module OPTIONAL_COMPONENTS Development.SABIModule)
  if(Python_FOUND)
    execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_ROOT
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_package(nanobind CONFIG QUIET)
  endif()
endif()
epskew_optional("${EPSKEW_ENABLE_PYTHON}" "${nanobind_FOUND}" "Python package" "run tools/python-env" EPSKEW_HAVE_PYTHON)
