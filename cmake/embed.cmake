# embed_text(TARGET FILE NAMESPACE NAME): compiles a text file of the tree into a target, as
# `extern const char NAMESPACE::NAME[]`. Configures anew when the file changes.
function(embed_text target file namespace name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
  file(READ ${PROJECT_SOURCE_DIR}/${file} text)
  set(source ${PROJECT_BINARY_DIR}/embedded/${name}.cc)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
       "namespace @namespace@ {\nextern const char @name@[];\nconst char @name@[] = R\"embedded(@text@)embedded\";\n}\n")
  target_sources(${target} PRIVATE ${source})
endfunction()
