# epskew_embed(<target> SYMBOL <name> FILES <file>... [MODULES <name>=<file>...]): compiles text files, one after the
# other, into <target> as epskew::assets::<name>. A MODULE is a UMD file, wrapped for the require() of modules.js.
function(epskew_embed target)
  cmake_parse_arguments(arg "" "SYMBOL" "FILES;MODULES" ${ARGN})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${arg_SYMBOL}.asset.cpp)
  set(inputs ${arg_FILES})
  foreach(module IN LISTS arg_MODULES)
    string(REGEX REPLACE "^[^=]*=" "" path "${module}")
    list(APPEND inputs ${path})
  endforeach()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DSYMBOL=${arg_SYMBOL}" "-DOUTPUT=${output}" "-DFILES=${arg_FILES}"
            "-DMODULES=${arg_MODULES}" -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${inputs} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
