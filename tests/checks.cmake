# Checks of the whole tree as ctest tests, label "check" (minutes, not seconds): formatting, clang-tidy, the unit tests
# and fuzz targets of a second build under AddressSanitizer and UndefinedBehaviorSanitizer, and the tests of what runs on
# a device, built for ARM, under qemu. test.sh turns them on.
set(sanitized ${CMAKE_BINARY_DIR}/asan)
cmake_host_system_information(RESULT processors QUERY NUMBER_OF_LOGICAL_CORES)
set(whole_machine PROCESSORS ${processors} TIMEOUT 1500)  # of checks that run jobs of their own: no test beside them

add_test(NAME check.format COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/format_check.sh WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME check.tidy COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target tidy)
set_tests_properties(check.format PROPERTIES LABELS check)
set_tests_properties(check.tidy PROPERTIES LABELS check ${whole_machine})

add_test(NAME asan.configure COMMAND ${CMAKE_COMMAND} --preset asan -B ${sanitized}
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME asan.build COMMAND ${CMAKE_COMMAND} --build ${sanitized})
set_tests_properties(asan.configure PROPERTIES FIXTURES_SETUP asan_tree LABELS check)
set_tests_properties(asan.build PROPERTIES FIXTURES_REQUIRED asan_tree FIXTURES_SETUP asan LABELS check
                     ${whole_machine})

set(sanitizer_environment
  "FASTDEEPIOT_TEST_TIMES=1"
  "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
  "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/sanitizer/leaks.txt:print_suppressions=0"
  "UBSAN_OPTIONS=print_stacktrace=1")
foreach(program IN LISTS test_programs)
  string(REGEX REPLACE "fdi_(.*)_tests" "asan.\\1" name ${program})
  add_test(NAME ${name} COMMAND ${sanitized}/tests/${program} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED asan LABELS check TIMEOUT 1500
                       ENVIRONMENT "${sanitizer_environment}")
endforeach()

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/*_fuzz.cc)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(target ${source} NAME_WE)
  add_test(NAME fuzz.${target} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/run.sh ${sanitized}/tests/fuzz ${target} 12)
  set_tests_properties(fuzz.${target} PROPERTIES FIXTURES_REQUIRED asan LABELS check TIMEOUT 120
                       ENVIRONMENT "${sanitizer_environment}")
endforeach()

# What runs on a device, on 64- and 32-bit NEON under qemu; a campaign with the agent of that build behind the runner.
# ARM machines test their own build instead.
function(arm_checks preset emulator)
  set(tree ${CMAKE_BINARY_DIR}/${preset})
  add_test(NAME ${preset}.configure COMMAND ${CMAKE_COMMAND} --preset ${preset} -B ${tree}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  add_test(NAME ${preset}.build COMMAND ${CMAKE_COMMAND} --build ${tree})
  set_tests_properties(${preset}.configure PROPERTIES FIXTURES_SETUP ${preset}_tree LABELS check)
  set_tests_properties(${preset}.build PROPERTIES FIXTURES_REQUIRED ${preset}_tree FIXTURES_SETUP ${preset} LABELS check
                       ${whole_machine})
  foreach(folder core kernels nn device)
    add_test(NAME ${preset}.${folder}
             COMMAND ${emulator} ${tree}/tests/fdi_${folder}_tests --gtest_brief=1)
    set_tests_properties(${preset}.${folder} PROPERTIES FIXTURES_REQUIRED ${preset} LABELS check TIMEOUT 600)
  endforeach()
  add_test(NAME ${preset}.agent COMMAND fdi_profile_tests --gtest_filter=RealAgent.*)
  set_tests_properties(${preset}.agent PROPERTIES FIXTURES_REQUIRED ${preset} LABELS check TIMEOUT 120
                       ENVIRONMENT "FDI_TEST_AGENT=${emulator} '${tree}/fastdeepiot-agent'")
endfunction()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  arm_checks(aarch64 qemu-aarch64-static)
  arm_checks(armv7 qemu-arm-static)
endif()
