# The warnings every target of this project is compiled with; generated code is exempt.
add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
  -Wold-style-definition -Wvla -Wwrite-strings -Wundef -Wformat=2 -Wno-format-nonliteral)
if(WERROR)
  target_compile_options(warnings INTERFACE -Werror)
endif()

add_compile_definitions(_GNU_SOURCE LOCALRAG_VERSION="${PROJECT_VERSION}")
add_compile_options(-fstack-protector-strong -fno-common)
if(SANITIZE)
  add_compile_options(-fsanitize=${SANITIZE} -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${SANITIZE})
else()
  add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
