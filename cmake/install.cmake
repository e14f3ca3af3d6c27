# cmake --install: the program with its man page and completion scripts (component "program", which is the package mlac), libmlac.so with its
# header, mlac.pc and CMake files (component "c", which is the package libmlac-dev), and the C++ library with its headers ("library").
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS mlac RUNTIME COMPONENT program)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT program)
install(DIRECTORY examples/systemd DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT program)
if(NOT CMAKE_CROSSCOMPILING)  # they are made by running the program
  set(MLAC_PAGES ${CMAKE_BINARY_DIR}/pages)
  add_custom_command(
    OUTPUT ${MLAC_PAGES}/mlac.1.gz ${MLAC_PAGES}/mlac.bash ${MLAC_PAGES}/_mlac ${MLAC_PAGES}/mlac.fish
    COMMAND ${CMAKE_COMMAND} -E make_directory ${MLAC_PAGES}
    COMMAND mlac help --man > ${MLAC_PAGES}/mlac.1
    COMMAND gzip -9nf ${MLAC_PAGES}/mlac.1
    COMMAND mlac completion bash > ${MLAC_PAGES}/mlac.bash
    COMMAND mlac completion zsh > ${MLAC_PAGES}/_mlac
    COMMAND mlac completion fish > ${MLAC_PAGES}/mlac.fish
    DEPENDS mlac VERBATIM)
  add_custom_target(pages ALL DEPENDS ${MLAC_PAGES}/mlac.1.gz)
  install(FILES ${MLAC_PAGES}/mlac.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
  install(FILES ${MLAC_PAGES}/mlac.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME mlac COMPONENT program)
  install(FILES ${MLAC_PAGES}/_mlac DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT program)
  install(FILES ${MLAC_PAGES}/mlac.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
endif()

set(MLAC_CMAKE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/mlac)
install(TARGETS mlac_c EXPORT mlacCTargets LIBRARY COMPONENT c NAMELINK_COMPONENT c)
install(FILES src/capi/mlac.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT c)
install(EXPORT mlacCTargets NAMESPACE mlac:: DESTINATION ${MLAC_CMAKE_FOLDER} COMPONENT c)
file(RELATIVE_PATH MLAC_PREFIX_FROM_PC /usr/${CMAKE_INSTALL_LIBDIR}/pkgconfig/ /usr)  # so that an installed tree may be moved
configure_file(cmake/mlac.pc.in ${CMAKE_BINARY_DIR}/mlac.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/mlac.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT c)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libmlac-dev RENAME copyright COMPONENT c)
install(TARGETS mlac_lib EXPORT mlacTargets ARCHIVE COMPONENT library)
install(DIRECTORY src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mlac COMPONENT library FILES_MATCHING PATTERN "*.h"
        PATTERN "*-inl.h" EXCLUDE PATTERN "cli" EXCLUDE PATTERN "capi" EXCLUDE)
install(EXPORT mlacTargets NAMESPACE mlac:: DESTINATION ${MLAC_CMAKE_FOLDER} COMPONENT library)
configure_package_config_file(cmake/mlacConfig.cmake.in ${CMAKE_BINARY_DIR}/mlacConfig.cmake INSTALL_DESTINATION ${MLAC_CMAKE_FOLDER})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mlacConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mlacConfig.cmake ${CMAKE_BINARY_DIR}/mlacConfigVersion.cmake DESTINATION ${MLAC_CMAKE_FOLDER} COMPONENT c)
install(FILES cmake/FindPrometheusCore.cmake cmake/FindPCRE2.cmake DESTINATION ${MLAC_CMAKE_FOLDER} COMPONENT library)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mlac)
set(CPACK_PACKAGE_VENDOR "the mlac authors")
set(CPACK_PACKAGE_CONTACT "the mlac authors <mlac@localhost>")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program c)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME mlac)
set(CPACK_DEBIAN_C_PACKAGE_NAME libmlac-dev)
set(CPACK_COMPONENT_C_DESCRIPTION "mlac for C and languages that call C: libmlac.so and its header")
set(CPACK_DEBIAN_C_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # the libraries of libmlac-dev, and that ldconfig sees them
include(CPack)
