# From .proto files to C and to one descriptor set.
#
# protoc-c 1.4 refuses proto3 `optional`, so C is generated from a descriptor set in which pbfilter
# turned every optional field into its (wire-identical) one-member oneof. The set that programs embed
# for reflection and routes is the unfiltered one.
set(GEN_DIR ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${GEN_DIR})

# protobuf_c_direct(OUT_SOURCES file.proto...) - without the filter, for google's own files.
function(protobuf_c_direct out)
  set(sources)
  foreach(proto ${ARGN})
    string(REPLACE ".proto" ".pb-c" stem ${proto})
    add_custom_command(
      OUTPUT ${GEN_DIR}/${stem}.c ${GEN_DIR}/${stem}.h
      COMMAND protoc -I/usr/include --c_out=${GEN_DIR} ${proto}
      VERBATIM)
    list(APPEND sources ${GEN_DIR}/${stem}.c)
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

# protobuf_descriptor_set(FILE file.proto...) - all of them with their imports.
function(protobuf_descriptor_set file)
  set(inputs)
  foreach(proto ${ARGN})
    list(APPEND inputs ${CMAKE_SOURCE_DIR}/proto/${proto})
  endforeach()
  add_custom_command(
    OUTPUT ${file}
    COMMAND protoc -I${CMAKE_SOURCE_DIR}/proto -I/usr/include --include_imports
            --descriptor_set_out=${file} ${ARGN}
    DEPENDS ${inputs}
    VERBATIM)
endfunction()

# protobuf_doc_set(FILE file.proto...) - these files alone, with their comments.
function(protobuf_doc_set file)
  set(inputs)
  foreach(proto ${ARGN})
    list(APPEND inputs ${CMAKE_SOURCE_DIR}/proto/${proto})
  endforeach()
  add_custom_command(
    OUTPUT ${file}
    COMMAND protoc -I${CMAKE_SOURCE_DIR}/proto -I/usr/include --include_source_info
            --descriptor_set_out=${file} ${ARGN}
    DEPENDS ${inputs}
    VERBATIM)
endfunction()

# protobuf_c_filtered(OUT_SOURCES SET file.proto...) - C from a filtered descriptor set.
function(protobuf_c_filtered out set)
  set(filtered ${set}.filtered)
  add_custom_command(
    OUTPUT ${filtered}
    COMMAND pbfilter ${set} ${filtered}
    DEPENDS pbfilter ${set}
    VERBATIM)
  set(sources)
  foreach(proto ${ARGN})
    string(REPLACE ".proto" ".pb-c" stem ${proto})
    add_custom_command(
      OUTPUT ${GEN_DIR}/${stem}.c ${GEN_DIR}/${stem}.h
      COMMAND protoc --descriptor_set_in=${filtered} --c_out=${GEN_DIR} ${proto}
      DEPENDS ${filtered}
      VERBATIM)
    list(APPEND sources ${GEN_DIR}/${stem}.c)
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
