# LibTorch as the target silc::torch, from the folder of a LibTorch or of a Python wheel. silc's own build includes this
# file, and so does silcConfig.cmake, for plugins.
#
# The wheel's own package file (TorchConfig.cmake) is only read, not run: for a CUDA build it demands a whole CUDA toolkit,
# which running on CUDA does not need.
#
# Looks at Torch_DIR, then at CMAKE_PREFIX_PATH, then at SILC_TORCH_HINT (a LibTorch's folder). Sets SILC_TORCH_ROOT,
# SILC_TORCH_INCLUDE, SILC_TORCH_VERSION and SILC_TORCH_ABI, or SILC_TORCH_FAULT: why there is none that will do.
# SILC_TORCH_REQUIRED is the one version that will do; without it, all that silc can be built with.

set(SILC_TORCH_FAULT "")
set(_hints "")
if(Torch_DIR)
  list(APPEND _hints ${Torch_DIR}/../../..)
endif()
if(DEFINED ENV{Torch_DIR})
  list(APPEND _hints $ENV{Torch_DIR}/../../..)
endif()
if(_hints)
  # Before all that find_path() would look at first.
  find_path(SILC_TORCH_INCLUDE torch/csrc/api/include/torch/version.h HINTS ${_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
endif()
find_path(SILC_TORCH_INCLUDE torch/csrc/api/include/torch/version.h
          HINTS ${SILC_TORCH_HINT}
          PATH_SUFFIXES include ../../include
          DOC "LibTorch's include folder")
if(NOT SILC_TORCH_INCLUDE)
  set(SILC_TORCH_FAULT "LibTorch was not found.")
  return()
endif()
get_filename_component(SILC_TORCH_ROOT ${SILC_TORCH_INCLUDE}/.. ABSOLUTE)

set(_version_file ${SILC_TORCH_INCLUDE}/torch/headeronly/version.h)
if(NOT EXISTS ${_version_file})
  set(_version_file ${SILC_TORCH_INCLUDE}/torch/csrc/api/include/torch/version.h)
endif()
file(STRINGS ${_version_file} _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
list(JOIN _numbers "." SILC_TORCH_VERSION)
if(SILC_TORCH_REQUIRED AND NOT SILC_TORCH_VERSION VERSION_EQUAL SILC_TORCH_REQUIRED)
  set(SILC_TORCH_FAULT "LibTorch ${SILC_TORCH_VERSION} in ${SILC_TORCH_ROOT} is not the ${SILC_TORCH_REQUIRED} that is needed.")
elseif(SILC_TORCH_VERSION VERSION_LESS 2.11)
  set(SILC_TORCH_FAULT "LibTorch ${SILC_TORCH_VERSION} in ${SILC_TORCH_ROOT} is too old: silc needs 2.11 or newer.")
endif()
if(SILC_TORCH_FAULT)
  unset(SILC_TORCH_INCLUDE CACHE)  # the next attempt looks again
  return()
endif()

file(STRINGS ${SILC_TORCH_ROOT}/share/cmake/Torch/TorchConfig.cmake _abi REGEX "_GLIBCXX_USE_CXX11_ABI=[01]")
string(REGEX MATCH "_GLIBCXX_USE_CXX11_ABI=[01]" SILC_TORCH_ABI "${_abi}")

if(NOT TARGET silc::torch)
  add_library(silc::torch INTERFACE IMPORTED)
  target_include_directories(silc::torch INTERFACE ${SILC_TORCH_INCLUDE} ${SILC_TORCH_INCLUDE}/torch/csrc/api/include)
  if(SILC_TORCH_ABI)
    target_compile_definitions(silc::torch INTERFACE ${SILC_TORCH_ABI})
  endif()
  # torch_cuda registers its kernels when it is loaded, though nothing refers to it by name.
  target_link_options(silc::torch INTERFACE -Wl,--no-as-needed)
  foreach(_name c10 torch_cpu torch c10_cuda torch_cuda)
    if(EXISTS ${SILC_TORCH_ROOT}/lib/lib${_name}.so)
      target_link_libraries(silc::torch INTERFACE ${SILC_TORCH_ROOT}/lib/lib${_name}.so)
    endif()
  endforeach()
endif()
message(STATUS "LibTorch ${SILC_TORCH_VERSION} (${SILC_TORCH_ABI}) in ${SILC_TORCH_ROOT}")
