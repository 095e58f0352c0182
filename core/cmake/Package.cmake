# What plugins are built against: public headers and the CMake package. The build tree gets a package as well, so that
# plugins can be built against it as against an installation.
include(CMakePackageConfigHelpers)

install(DIRECTORY core/include/silc DESTINATION include FILES_MATCHING PATTERN "*.h")
# Apart from include/silc, because these are included as "nn/teacher.h" and "pictures/decode.h", here as there.
install(DIRECTORY core/nn DESTINATION include/silc-nn FILES_MATCHING PATTERN "*.h" PATTERN precompiled.h EXCLUDE)
install(DIRECTORY core/pictures DESTINATION include/silc-nn FILES_MATCHING PATTERN "*.h"
        PATTERN codecs.h EXCLUDE PATTERN exif.h EXCLUDE)
install(DIRECTORY experiments DESTINATION share/silc FILES_MATCHING PATTERN "*.toml")

# All that is installed: what ./dev install builds.
get_property(_plugins GLOBAL PROPERTY SILC_PLUGINS)
add_custom_target(installed DEPENDS silc silc-engine silc_nn silc_pictures silc_tokens completion ${_plugins})

# Its parts find each other by their relative places, and LibTorch where silc was built with it.
foreach(_target silc-engine silc_nn ${_plugins})
  set_property(TARGET ${_target} APPEND PROPERTY INSTALL_RPATH ${SILC_TORCH_ROOT}/lib)
endforeach()

# _silc_package(FOLDER INCLUDE...): the package's files; INCLUDE as seen from silcConfig.cmake.
function(_silc_package folder)
  set(SILC_PACKAGE_INCLUDE ${ARGN})
  configure_file(core/cmake/silcConfig.cmake.in ${folder}/silcConfig.cmake @ONLY)
  configure_file(core/cmake/LibTorch.cmake ${folder}/LibTorch.cmake COPYONLY)
  write_basic_package_version_file(${folder}/silcConfigVersion.cmake VERSION ${PROJECT_VERSION}
                                   COMPATIBILITY SameMinorVersion)
endfunction()

_silc_package(${PROJECT_BINARY_DIR}/lib/cmake/silc ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_SOURCE_DIR}/core)
_silc_package(${PROJECT_BINARY_DIR}/package "\${SILC_PREFIX}/include" "\${SILC_PREFIX}/include/silc-nn")
install(DIRECTORY ${PROJECT_BINARY_DIR}/package/ DESTINATION lib/cmake/silc)
