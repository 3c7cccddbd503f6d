# Target `tidy`: clang-tidy over every source outside tests/. One stamp file per source, so that a second run looks only
# at what has changed (its own text, any header, or the checks).
find_program(CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
if(NOT CLANG_TIDY)
  add_custom_target(tidy COMMAND ${CMAKE_COMMAND} -E echo "clang-tidy not found (Debian: clang-tidy-14)"
                    COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
  return()
endif()

file(GLOB tidy_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/*/*.h)
file(GLOB tidy_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/*/*.cc)
set(tidy_stamps "")
foreach(source IN LISTS tidy_sources)
  set(stamp ${CMAKE_BINARY_DIR}/tidy/${source}.ok)
  get_filename_component(folder ${stamp} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  # One target of a Highway source is enough here: the others are the same text.
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${CLANG_TIDY} --quiet -p ${CMAKE_BINARY_DIR} --extra-arg=-DHWY_COMPILE_ONLY_STATIC
            --extra-arg=-Wno-unknown-warning-option ${PROJECT_SOURCE_DIR}/${source}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${source} ${tidy_headers} .clang-tidy WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "clang-tidy ${source}" VERBATIM)
  list(APPEND tidy_stamps ${stamp})
endforeach()
add_custom_target(tidy DEPENDS ${tidy_stamps})
