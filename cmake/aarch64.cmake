# Toolchain: 64-bit ARM by Debian's cross compiler, run by qemu (preset aarch64).
set(cross_triplet aarch64-linux-gnu)
set(cross_debian arm64)
set(cross_emulator qemu-aarch64-static)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
