# LibTorch as the target silc::torch, from the folder of a LibTorch or of a Python wheel.
#
# The wheel's own package file (TorchConfig.cmake) is only read, not run: for a CUDA build it demands a whole CUDA toolkit,
# which running on CUDA does not need.

set(_hints "")
if(Torch_DIR)
  list(APPEND _hints ${Torch_DIR}/../../..)
endif()
if(DEFINED ENV{Torch_DIR})
  list(APPEND _hints $ENV{Torch_DIR}/../../..)
endif()
find_path(SILC_TORCH_INCLUDE torch/csrc/api/include/torch/version.h
          HINTS ${_hints}
          PATH_SUFFIXES include ../../include
          DOC "LibTorch's include folder")
if(NOT SILC_TORCH_INCLUDE)
  message(FATAL_ERROR "LibTorch was not found. Use ./dev build, which installs it, or set CMAKE_PREFIX_PATH to what "
                      "python3 -c 'import torch; print(torch.utils.cmake_prefix_path)' prints.")
endif()
get_filename_component(SILC_TORCH_ROOT ${SILC_TORCH_INCLUDE} DIRECTORY)

set(_version_file ${SILC_TORCH_INCLUDE}/torch/headeronly/version.h)
if(NOT EXISTS ${_version_file})
  set(_version_file ${SILC_TORCH_INCLUDE}/torch/csrc/api/include/torch/version.h)
endif()
file(STRINGS ${_version_file} _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
list(JOIN _numbers "." SILC_TORCH_VERSION)
if(SILC_TORCH_VERSION VERSION_LESS 2.6)
  message(FATAL_ERROR "LibTorch ${SILC_TORCH_VERSION} in ${SILC_TORCH_ROOT} is too old: silc needs 2.6 or newer. "
                      "Debian's own package is one of those; ./dev build installs a fitting one.")
endif()

file(STRINGS ${SILC_TORCH_ROOT}/share/cmake/Torch/TorchConfig.cmake _abi REGEX "_GLIBCXX_USE_CXX11_ABI=[01]")
string(REGEX MATCH "_GLIBCXX_USE_CXX11_ABI=[01]" SILC_TORCH_ABI "${_abi}")

add_library(silc_torch INTERFACE)
add_library(silc::torch ALIAS silc_torch)
target_include_directories(silc_torch SYSTEM INTERFACE ${SILC_TORCH_INCLUDE}
                                                       ${SILC_TORCH_INCLUDE}/torch/csrc/api/include)
if(SILC_TORCH_ABI)
  target_compile_definitions(silc_torch INTERFACE ${SILC_TORCH_ABI})
endif()
# torch_cuda registers its kernels when it is loaded, though nothing refers to it by name.
target_link_options(silc_torch INTERFACE -Wl,--no-as-needed)
foreach(_name c10 torch_cpu torch c10_cuda torch_cuda)
  if(EXISTS ${SILC_TORCH_ROOT}/lib/lib${_name}.so)
    target_link_libraries(silc_torch INTERFACE ${SILC_TORCH_ROOT}/lib/lib${_name}.so)
  endif()
endforeach()
message(STATUS "LibTorch ${SILC_TORCH_VERSION} (${SILC_TORCH_ABI}) in ${SILC_TORCH_ROOT}")
