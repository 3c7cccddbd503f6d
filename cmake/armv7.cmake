# Toolchain: 32-bit ARM with NEON and fused multiply-add (Cortex-A7, A15 and later), run by qemu (preset armv7).
set(cross_triplet arm-linux-gnueabihf)
set(cross_debian armhf)
set(cross_emulator qemu-arm-static)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_CXX_FLAGS_INIT "-march=armv7-a -mfpu=neon-vfpv4 -mfp16-format=ieee")
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
