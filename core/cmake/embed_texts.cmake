# cmake -D FOLDER=DIR -D PATTERNS=classes/*.txt,prompts/*.txt -D HEADER=FILE.h -D NAMESPACE=silc::datasets -D TYPE=EmbeddedList
#       -D FUNCTION=embedded_lists -D OUTPUT=FILE.cpp -P embed_texts.cmake
# makes text files into a C++ source: FUNCTION(), which HEADER declares, gives a span of TYPE{name, text}; a name is the
# file's path in FOLDER without its ending.
set(_files)
string(REPLACE "," ";" _patterns "${PATTERNS}")
foreach(_pattern IN LISTS _patterns)
  file(GLOB _found RELATIVE ${FOLDER} ${FOLDER}/${_pattern})
  list(APPEND _files ${_found})
endforeach()
list(SORT _files)
set(_source "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\n")
string(APPEND _source "std::span<const ${TYPE}> ${FUNCTION}() {\n  using namespace std::string_view_literals;\n")
string(APPEND _source "  static constexpr ${TYPE} kTexts[] = {\n")
foreach(_file IN LISTS _files)
  file(READ ${FOLDER}/${_file} _text)
  string(REGEX REPLACE "\\.[a-z]+$" "" _name ${_file})
  string(APPEND _source "      {\"${_name}\", R\"silc(${_text})silc\"sv},\n")
endforeach()
string(APPEND _source "  };\n  return kTexts;\n}\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${_source}")
