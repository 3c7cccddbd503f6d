# Every library that the project uses, found as the system's own package. A required one that is missing stops the
# configuration with the Debian package to install; an optional one says what its absence disables.
find_package(OpenMP REQUIRED)
find_package(fmt REQUIRED)
if(NOT FDI_KERNELS_ONLY)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)
  find_package(LibArchive REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(PNG REQUIRED)
  find_package(CURL REQUIRED)
  find_package(OpenSSL REQUIRED)
  find_package(Eigen3 REQUIRED NO_MODULE)  # Debian: libeigen3-dev
  find_package(Boost REQUIRED)             # Debian: libboost-math-dev
  find_package(SQLite3 REQUIRED)
endif()

# Highway: HWY_BROKEN_EMU128 makes the plain scalar target the baseline, so that it can be forced like any other;
# HWY_COMPILE_ALL_ATTAINABLE compiles it on machines whose baseline is better (NEON) too. ARM's SVE stays off:
# its vectors have no fixed length, and tiles and packed weights count on one.
find_library(HWY_LIBRARY hwy REQUIRED)
find_path(HWY_INCLUDE hwy/highway.h REQUIRED)
add_library(fdi_highway INTERFACE)
target_include_directories(fdi_highway INTERFACE ${HWY_INCLUDE})
target_link_libraries(fdi_highway INTERFACE ${HWY_LIBRARY})
target_compile_definitions(fdi_highway INTERFACE HWY_BROKEN_EMU128=1 HWY_COMPILE_ALL_ATTAINABLE=1)
set(skip_targets ${FDI_SKIP_TARGETS})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm)")
  list(APPEND skip_targets "HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128")
endif()
if(skip_targets)
  list(JOIN skip_targets "|" skip_targets)
  target_compile_definitions(fdi_highway INTERFACE "HWY_DISABLED_TARGETS=(${skip_targets})")
endif()

# OpenBLAS: the OpenMP build shares our thread pool; the directory is put into the run path because the
# distribution's alternatives may point libopenblas.so.0 at the pthread build.
add_library(fdi_openblas INTERFACE)
if(FDI_OPENBLAS)
  find_library(OPENBLAS_LIBRARY openblas PATH_SUFFIXES openblas-openmp openblas-pthread)
  find_path(OPENBLAS_INCLUDE openblas/cblas.h PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
            ${CMAKE_LIBRARY_ARCHITECTURE})
  find_path(OPENBLAS_INCLUDE cblas.h PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
            ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread ${CMAKE_LIBRARY_ARCHITECTURE})
  if(OPENBLAS_LIBRARY AND OPENBLAS_INCLUDE)
    get_filename_component(openblas_dir ${OPENBLAS_LIBRARY} DIRECTORY)
    target_include_directories(fdi_openblas INTERFACE ${OPENBLAS_INCLUDE})
    target_link_libraries(fdi_openblas INTERFACE ${OPENBLAS_LIBRARY})
    target_link_options(fdi_openblas INTERFACE "-Wl,-rpath,${openblas_dir}" "-Wl,--disable-new-dtags")
    target_compile_definitions(fdi_openblas INTERFACE FDI_HAVE_OPENBLAS=1)
  else()
    message(WARNING "OpenBLAS not found (Debian: libopenblas-openmp-dev): no --gemm openblas, no OpenBLAS peer in bench")
  endif()
endif()

# oneDNN: an engine under test, a peer in the benchmarks.
add_library(fdi_onednn INTERFACE)
if(FDI_ONEDNN)
  find_library(DNNL_LIBRARY dnnl)
  find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.hpp)
  if(DNNL_LIBRARY AND DNNL_INCLUDE)
    target_include_directories(fdi_onednn INTERFACE ${DNNL_INCLUDE})
    target_link_libraries(fdi_onednn INTERFACE ${DNNL_LIBRARY})
    target_compile_definitions(fdi_onednn INTERFACE FDI_HAVE_ONEDNN=1)
  else()
    message(WARNING "oneDNN not found (Debian: libdnnl-dev): no engine onednn, bench runs without this peer")
  endif()
endif()

# XNNPACK: an engine under test. The library does not tell its version; the package that it came in does.
add_library(fdi_xnnpack INTERFACE)
if(FDI_XNNPACK)
  find_library(XNNPACK_LIBRARY XNNPACK)
  find_library(PTHREADPOOL_LIBRARY pthreadpool)
  find_path(XNNPACK_INCLUDE xnnpack.h)
  find_path(PTHREADPOOL_INCLUDE pthreadpool.h)
  if(XNNPACK_LIBRARY AND PTHREADPOOL_LIBRARY AND XNNPACK_INCLUDE AND PTHREADPOOL_INCLUDE)
    execute_process(COMMAND dpkg-query -W -f "\${source:Upstream-Version}" libxnnpack-dev
                    OUTPUT_VARIABLE xnnpack_version ERROR_QUIET)
    if(NOT xnnpack_version)
      set(xnnpack_version unknown)
    endif()
    target_include_directories(fdi_xnnpack INTERFACE ${XNNPACK_INCLUDE} ${PTHREADPOOL_INCLUDE})
    target_link_libraries(fdi_xnnpack INTERFACE ${XNNPACK_LIBRARY} ${PTHREADPOOL_LIBRARY})
    target_compile_definitions(fdi_xnnpack INTERFACE FDI_HAVE_XNNPACK=1 FDI_XNNPACK_VERSION="${xnnpack_version}")
  else()
    message(WARNING "XNNPACK not found (Debian: libxnnpack-dev and libpthreadpool-dev): no engine xnnpack")
  endif()
endif()
