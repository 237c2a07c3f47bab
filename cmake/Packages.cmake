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

# pkg-config lists about a hundred absl libraries for grpc; the two are enough with shared libgrpc.
add_library(pkg_grpc INTERFACE)
target_link_libraries(pkg_grpc INTERFACE grpc gpr Threads::Threads)

# Debian ships MuPDF as static libraries and a mupdf.pc that names the wrong ones.
add_library(pkg_mupdf INTERFACE)
target_link_libraries(pkg_mupdf INTERFACE
  mupdf mupdf-third mujs gumbo openjp2 jbig2dec jpeg freetype harfbuzz crypto z m Threads::Threads)
target_include_directories(pkg_mupdf SYSTEM INTERFACE /usr/include/freetype2)
