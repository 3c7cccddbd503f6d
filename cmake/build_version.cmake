# Script: writes the header OUT with the program's VERSION and short hashes of SOURCES and TIMED (paths below ROOT), so
# that two builds of one source, for whatever processor, have the same versions and others do not. Of TIMED comments and
# spaces do not count: they change no times. Run by device/'s build rule.
set(all "")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${ROOT}/${source} hash)
  string(APPEND all "${source} ${hash}\n")
endforeach()
string(SHA256 build "${all}")
string(SUBSTRING ${build} 0 10 build)

set(all "")
foreach(source IN LISTS TIMED)
  file(READ ${ROOT}/${source} text)
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  string(REGEX REPLACE "[ \t\r\n]+" " " text "${text}")
  string(STRIP "${text}" text)
  string(SHA256 hash "${text}")
  string(APPEND all "${source} ${hash}\n")
endforeach()
string(SHA256 kernels "${all}")
string(SUBSTRING ${kernels} 0 6 kernels)

file(WRITE ${OUT} "#define FDI_BUILD_VERSION \"${VERSION}+${build}\"
#define FDI_KERNELS_VERSION \"${VERSION}+${kernels}\"
")
