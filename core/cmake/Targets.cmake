# How the project's own targets are made.

# LibTorch's version is part of a plugin's stamp. Its header alone, away from LibTorch's include folder, which has headers
# of other libraries too, an fmt among them.
set(_version_folder ${PROJECT_BINARY_DIR}/include-torch-version)
foreach(_header torch/headeronly/version.h torch/version.h)
  foreach(_root ${SILC_TORCH_INCLUDE} ${SILC_TORCH_INCLUDE}/torch/csrc/api/include)
    if(EXISTS ${_root}/${_header})
      configure_file(${_root}/${_header} ${_version_folder}/${_header} COPYONLY)
    endif()
  endforeach()
endforeach()

# The public plugin headers; silc_use_torch() adds LibTorch's, which most of them need.
add_library(silc_headers INTERFACE)
add_library(silc::headers ALIAS silc_headers)
target_include_directories(silc_headers INTERFACE ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_SOURCE_DIR}/core
                                                  ${PROJECT_SOURCE_DIR})
target_include_directories(silc_headers SYSTEM INTERFACE ${_version_folder})
if(SILC_TORCH_ABI)
  target_compile_definitions(silc_headers INTERFACE ${SILC_TORCH_ABI})
endif()
target_compile_definitions(silc_headers INTERFACE SILC_VERSION="${PROJECT_VERSION}" BOOST_DLL_USE_STD_FS)

# One precompiled header for everything that includes LibTorch, and the files of a library compiled as one: what LibTorch's
# headers instantiate, 8 s even so, is then made once a library instead of once a file. Test programs stay apart: they are
# of few files, each with fixtures of its own.
function(silc_use_torch target)
  target_link_libraries(${target} PRIVATE silc::headers silc::torch)
  # CMake's TARGET_EXPORTS macro would make the precompiled header unfit for every other target.
  set_target_properties(${target} PROPERTIES DEFINE_SYMBOL "")
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    # CMake compiles programs with -fPIE, which does not fit a header precompiled with -fPIC.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  if(NOT type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${SILC_UNITY} UNITY_BUILD_BATCH_SIZE 0)
  endif()
  if(TARGET silc_torch_precompiled)
    target_precompile_headers(${target} REUSE_FROM silc_torch_precompiled)
  endif()
endfunction()

# silc_watch_folders(FOLDER...): configures anew when a file comes into one of them or goes. CONFIGURE_DEPENDS of file(GLOB)
# would run CMake before each build, and Ninja could never say that there is nothing to do.
function(silc_watch_folders)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
endfunction()

# silc_hot_loops(SOURCE...): files whose own loops decide how long a step or a batch takes.
function(silc_hot_loops)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Release>:-O3>)
endfunction()

# silc_plugin(NAME SOURCE...): a library of plugins, found in the build tree's plugin folder.
# Their names are in the global property SILC_PLUGINS, for the test that compares them with their reference.
function(silc_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_property(GLOBAL APPEND PROPERTY SILC_PLUGINS ${name})
  silc_use_torch(${name})
  target_link_libraries(${name} PRIVATE silc_nn)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins
                                           INSTALL_RPATH "$ORIGIN/../..")
  install(TARGETS ${name} LIBRARY DESTINATION lib/silc/plugins)
endfunction()

# silc_embed_texts(VARIABLE FOLDERS folder... HEADER file NAMESPACE name TYPE name FUNCTION name): a source in which the .txt,
# .tsv and .toml files of folders here are (core/cmake/embed_texts.cmake); its path in VARIABLE.
function(silc_embed_texts variable)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADER;NAMESPACE;TYPE;FUNCTION" "FOLDERS")
  set(texts)
  set(patterns)
  foreach(folder IN LISTS arg_FOLDERS)
    silc_watch_folders(${CMAKE_CURRENT_SOURCE_DIR}/${folder})
    file(GLOB found ${folder}/*.txt ${folder}/*.tsv ${folder}/*.toml)
    list(APPEND texts ${found})
    list(APPEND patterns ${folder}/*.txt ${folder}/*.tsv ${folder}/*.toml)
  endforeach()
  string(REPLACE ";" "," patterns "${patterns}")
  set(script ${PROJECT_SOURCE_DIR}/core/cmake/embed_texts.cmake)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${arg_FUNCTION}.cpp)
  add_custom_command(OUTPUT ${output}
                     COMMAND ${CMAKE_COMMAND} -D FOLDER=${CMAKE_CURRENT_SOURCE_DIR} -D "PATTERNS=${patterns}"
                             -D HEADER=${arg_HEADER} -D NAMESPACE=${arg_NAMESPACE} -D TYPE=${arg_TYPE}
                             -D FUNCTION=${arg_FUNCTION} -D OUTPUT=${output} -P ${script}
                     DEPENDS ${texts} ${script}
                     COMMENT "Embedding the texts of ${arg_FOLDERS}" VERBATIM)
  set(${variable} ${output} PARENT_SCOPE)
endfunction()
