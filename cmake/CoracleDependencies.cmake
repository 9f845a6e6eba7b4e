# Libraries that the project stands on (docs/adr/0001-dependencies.md), all from Debian 12.

find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)

find_path(IPSEC_MB_INCLUDE_DIR intel-ipsec-mb.h REQUIRED)
find_library(IPSEC_MB_LIBRARY IPSec_MB REQUIRED)
add_library(ipsec_mb INTERFACE IMPORTED)
target_include_directories(ipsec_mb SYSTEM INTERFACE ${IPSEC_MB_INCLUDE_DIR})
target_link_libraries(ipsec_mb INTERFACE ${IPSEC_MB_LIBRARY})

# Static, so that an enclave holds the decoder alone, and one whose size is known (docs/adr/0012-coded-chunks.md).
find_path(ZSTD_INCLUDE_DIR zstd.h REQUIRED)
find_library(ZSTD_STATIC_LIBRARY libzstd.a REQUIRED)
add_library(zstd_static INTERFACE IMPORTED)
target_include_directories(zstd_static SYSTEM INTERFACE ${ZSTD_INCLUDE_DIR})
target_link_libraries(zstd_static INTERFACE ${ZSTD_STATIC_LIBRARY})

find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)
add_library(stb INTERFACE IMPORTED)
target_include_directories(stb SYSTEM INTERFACE ${STB_INCLUDE_DIR})

# Offline side only: nothing in the trusted computing base links these.
find_package(Protobuf REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx-ml.pb.h REQUIRED)
add_library(onnx_proto INTERFACE IMPORTED)
target_include_directories(onnx_proto SYSTEM INTERFACE ${ONNX_INCLUDE_DIR} ${Protobuf_INCLUDE_DIRS})
target_compile_definitions(onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(onnx_proto INTERFACE ${ONNX_PROTO_LIBRARY} ${Protobuf_LIBRARIES})

if(CORACLE_TESTS)
  find_package(GTest REQUIRED)
endif()
if(CORACLE_BENCH)
  find_package(benchmark REQUIRED)
endif()
