# Script: writes the header OUT with the program's VERSION and a short hash of SOURCES (paths below ROOT), so that two
# builds of one source, for whatever processor, have the same version and others do not. Run by device/'s build rule.
set(all "")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${ROOT}/${source} hash)
  string(APPEND all "${source} ${hash}\n")
endforeach()
string(SHA256 hash "${all}")
string(SUBSTRING ${hash} 0 10 hash)
file(WRITE ${OUT} "#define FDI_BUILD_VERSION \"${VERSION}+${hash}\"\n")
