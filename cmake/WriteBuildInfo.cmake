# cmake -DHEADER= -DGIT= -DSOURCE= -DCOMPILER= -DFLAGS= -DTYPE= -DVERSION= -P: writes HEADER if it would change.
set(commit "")
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=12 --exclude=* WORKING_DIRECTORY ${SOURCE}
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${HEADER} @ONLY CONTENT [[
#pragma once

// Written by cmake/WriteBuildInfo.cmake.
#define EPSKEW_BUILD_VERSION "@VERSION@"
#define EPSKEW_BUILD_COMPILER "@COMPILER@"
#define EPSKEW_BUILD_FLAGS "@FLAGS@"
#define EPSKEW_BUILD_TYPE "@TYPE@"
#define EPSKEW_BUILD_COMMIT "@commit@"
]])
