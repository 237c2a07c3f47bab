# The foreign libraries, one interface target each, named after what they are for.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(package target)
  add_library(${target} INTERFACE)
  foreach(module ${ARGN})
    pkg_check_modules(PC_${module} REQUIRED IMPORTED_TARGET ${module})
    target_link_libraries(${target} INTERFACE PkgConfig::PC_${module})
  endforeach()
endfunction()

package(pkg_protobuf_c libprotobuf-c)
package(pkg_uuid uuid)
package(pkg_jansson jansson)
package(pkg_pq libpq)
package(pkg_hiredis hiredis)
package(pkg_crypto libcrypto)
package(pkg_mhd libmicrohttpd)
package(pkg_ocr tesseract lept)
package(pkg_seccomp libseccomp)
package(pkg_icu icu-uc icu-i18n)
package(pkg_z zlib)

# gRPC's own libraries and what only they use are linked statically: as forty shared ones they cost a
# fifth of a small call's time (every call between them goes through a table) and all of their pages.
# OpenSSL stays shared; it gets security updates. The suppressions of TSan name the shared library.
# The plain one has no TLS, nor the service meshes that come with it: two fifths less to load, and to
# go through with each call. It is for a server that listens without TLS.
function(package_grpc target name)
  add_library(${target} INTERFACE)
  if(SANITIZE)
    target_link_libraries(${target} INTERFACE grpc gpr Threads::Threads)
    return()
  endif()
  pkg_check_modules(PC_grpc REQUIRED grpc)
  set(archives ${PC_grpc_STATIC_LIBRARIES})
  list(FILTER archives INCLUDE REGEX "^(grpc|gpr|upb|address_sorting|re2|cares|absl_.*)$")
  list(TRANSFORM archives REPLACE "^grpc$" "${name}")
  list(TRANSFORM archives REPLACE "(.+)" "-l:lib\\1.a")
  target_link_libraries(${target} INTERFACE
    ${archives} ssl crypto z -l:libstdc++.a m Threads::Threads -Wl,--gc-sections)
endfunction()

package_grpc(pkg_grpc grpc)
package_grpc(pkg_grpc_plain grpc_unsecure)

# Debian ships MuPDF as static libraries and a mupdf.pc that names the wrong ones.
add_library(pkg_mupdf INTERFACE)
target_link_libraries(pkg_mupdf INTERFACE
  mupdf mupdf-third mujs gumbo openjp2 jbig2dec jpeg freetype harfbuzz crypto z m Threads::Threads)
target_include_directories(pkg_mupdf SYSTEM INTERFACE /usr/include/freetype2)
