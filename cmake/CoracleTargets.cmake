# How every library, program and test of the project is declared.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  find_program(LLD_PROGRAM ld.lld)
  if(LLD_PROGRAM)
    add_link_options(-fuse-ld=lld)
  endif()
endif()

add_library(coracle_options INTERFACE)
target_compile_options(coracle_options INTERFACE -Wall -Wextra -Wconversion -Werror)
target_include_directories(coracle_options INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
if(CORACLE_SANITIZE)
  string(REPLACE "," ";" sanitizers ${CORACLE_SANITIZE})
  foreach(sanitizer ${sanitizers})
    add_compile_options(-fsanitize=${sanitizer})
    add_link_options(-fsanitize=${sanitizer})
  endforeach()
  add_compile_options(-fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented code confuses GCC's flow analysis; the release build keeps the warning.
    target_compile_options(coracle_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()

# coracle_library(NAME SOURCES ... [DEPS ...] [PRIVATE_DEPS ...]): a floor's static library, linked as coracle::NAME.
function(coracle_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(coracle_${name} STATIC ${ARG_SOURCES})
  add_library(coracle::${name} ALIAS coracle_${name})
  target_link_libraries(coracle_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:coracle_options> ${ARG_PRIVATE_DEPS})
  target_include_directories(coracle_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
endfunction()

# coracle_program(NAME [DIR bench|tests] SOURCES ... DEPS ...): a program in bin/ (or bin/DIR).
function(coracle_program name)
  cmake_parse_arguments(ARG "" "DIR" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE coracle_options ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/${ARG_DIR})
endfunction()

# coracle_test(NAME SOURCES ... DEPS ... [LABELS ...]): a GoogleTest program in bin/tests, each of its cases a CTest test.
function(coracle_test name)
  if(NOT CORACLE_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  coracle_program(${name} DIR tests SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                       PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 1800)
endfunction()

# coracle_fuzzer(NAME SOURCES ... DEPS ...): a libFuzzer program in bin/fuzz; its corpus is fuzz/corpus/NAME.
function(coracle_fuzzer name)
  if(NOT CORACLE_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  coracle_program(${name} DIR fuzz SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
endfunction()

# coracle_embed(TARGET SYMBOL FILE): the file's bytes become read-only data of the target, from SYMBOL to SYMBOL_end.
# FILE may be an output of the build.
function(coracle_embed target symbol path)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.cc)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/embedded.cc.in ${source} @ONLY)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${path})
  target_sources(${target} PRIVATE ${source})
endfunction()
