# Script: writes the header OUT with the program's VERSION and a short hash of SOURCES (paths below ROOT), so that two
# builds of one source, for whatever processor, have the same version and others do not; and with the COMPILER's text.
# Run by device/'s build rule.
set(all "")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${ROOT}/${source} hash)
  string(APPEND all "${source} ${hash}\n")
endforeach()
string(SHA256 build "${all}")
string(SUBSTRING ${build} 0 10 build)

file(WRITE ${OUT} "#define FDI_BUILD_VERSION \"${VERSION}+${build}\"
#define FDI_COMPILER \"${COMPILER}\"
")
