# Target `tidy`: clang-tidy over every source outside tests/, sixteen at a time as most of the time goes into headers. One
# stamp file per piece, so that a second run looks only at what has changed (a source, any header, or the checks).
find_program(CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
if(NOT CLANG_TIDY)
  add_custom_target(tidy COMMAND ${CMAKE_COMMAND} -E echo "clang-tidy not found (Debian: clang-tidy-14)"
                    COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
  return()
endif()

file(GLOB tidy_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/*/*.h)
set(tidy_stamps "")
# The compile command of each piece is that of a library of the same sources, which is never built.
foreach(folder core kernels nn datasets device profile compress bench cli)
  if(NOT TARGET fdi_${folder})
    continue()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cc)
  add_library(tidy_${folder} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(tidy_${folder} PRIVATE fdi_${folder})
  target_include_directories(tidy_${folder} PRIVATE ${CMAKE_BINARY_DIR}/generated)
  set(pieces "")
  if(folder STREQUAL kernels)  # they include themselves
    set_target_properties(tidy_${folder} PROPERTIES UNITY_BUILD OFF)
    set(pieces ${sources})
  else()
    set_target_properties(tidy_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
    list(FILTER sources EXCLUDE REGEX "main\\.cc$")
    set_source_files_properties(cli/main.cc cli/agent_main.cc PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    list(LENGTH sources count)
    math(EXPR last "(${count} - 1) / 16")
    foreach(piece RANGE ${last})
      list(APPEND pieces ${CMAKE_BINARY_DIR}/CMakeFiles/tidy_${folder}.dir/Unity/unity_${piece}_cxx.cxx)
    endforeach()
  endif()
  if(folder STREQUAL cli)
    list(APPEND pieces ${PROJECT_SOURCE_DIR}/cli/main.cc ${PROJECT_SOURCE_DIR}/cli/agent_main.cc)
  endif()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tidy/${folder})
  foreach(piece IN LISTS pieces)
    get_filename_component(name ${piece} NAME_WE)
    set(stamp ${CMAKE_BINARY_DIR}/tidy/${folder}/${name}.ok)
    # One target of a Highway source is enough here: the others are the same text.
    add_custom_command(OUTPUT ${stamp}
      COMMAND ${CLANG_TIDY} --quiet -p ${CMAKE_BINARY_DIR} --extra-arg=-DHWY_COMPILE_ONLY_STATIC
              --extra-arg=-Wno-unknown-warning-option ${piece}
      COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
      DEPENDS ${sources} ${tidy_headers} .clang-tidy ${CMAKE_BINARY_DIR}/generated/fdi_build_version.h
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "clang-tidy ${folder} ${name}" VERBATIM)
    list(APPEND tidy_stamps ${stamp})
  endforeach()
endforeach()
add_custom_target(tidy DEPENDS ${tidy_stamps})
