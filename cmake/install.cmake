include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY OCTET_INSTALL_TARGETS)
get_property(programs GLOBAL PROPERTY OCTET_INSTALL_PROGRAMS)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME library)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Octet)

install(TARGETS ${libraries} octet_all EXPORT OctetTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(programs)
  install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
endif()
foreach(folder core kernels ops nn data optim quant)
  install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/octet
          FILES_MATCHING PATTERN "*.h" PATTERN "*.inc" PATTERN "*.inl")
endforeach()
install(EXPORT OctetTargets NAMESPACE octet:: DESTINATION ${package_dir})
configure_package_config_file(cmake/OctetConfig.cmake.in ${PROJECT_BINARY_DIR}/cmake/OctetConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/OctetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/OctetConfig.cmake ${PROJECT_BINARY_DIR}/cmake/OctetConfigVersion.cmake
              cmake/find_vendors.cmake DESTINATION ${package_dir})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_PACKAGE_NAME octet)
set(CPACK_PACKAGE_VENDOR "The Octet authors")
set(CPACK_PACKAGE_CONTACT "The Octet authors")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR TGZ DEB)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
include(CPack)
