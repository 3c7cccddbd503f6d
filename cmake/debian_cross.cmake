# What the cross toolchains share: Debian's compiler and C library for the other architecture, the remaining libraries
# in a folder of the build tree (sysroot.sh), and qemu to run what was built. Reads cross_triplet, cross_debian,
# cross_emulator.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_CXX_COMPILER ${cross_triplet}-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR ${cross_emulator} -L /usr/${cross_triplet})

get_property(cross_is_try_compile GLOBAL PROPERTY IN_TRY_COMPILE)
if(NOT cross_is_try_compile)
  execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/sysroot.sh ${cross_debian} ${CMAKE_BINARY_DIR}/sysroot
                  RESULT_VARIABLE cross_status)
  if(cross_status)
    message(FATAL_ERROR "no libraries for ${cross_debian}, see above")
  endif()
endif()

# The C library and libgomp come with the cross compiler.
set(CMAKE_FIND_ROOT_PATH ${CMAKE_BINARY_DIR}/sysroot /usr/${cross_triplet} /usr/lib/gcc-cross/${cross_triplet})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
