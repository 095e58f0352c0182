# cmake -D FOLDER=plugins/datasets -D OUTPUT=FILE.cpp -P embed.cmake: lists of classes and prompts, and the table of
# drawings, as a C++ source.
file(GLOB _files RELATIVE ${FOLDER} ${FOLDER}/classes/*.txt ${FOLDER}/prompts/*.txt ${FOLDER}/openclipart/*.tsv)
list(SORT _files)
set(_source "#include \"plugins/datasets/embedded_lists.h\"\n\nnamespace silc::datasets {\n\n")
string(APPEND _source "std::span<const EmbeddedList> embedded_lists() {\n  using namespace std::string_view_literals;\n  static constexpr EmbeddedList kLists[] = {\n")
foreach(_file IN LISTS _files)
  file(READ ${FOLDER}/${_file} _text)
  string(REGEX REPLACE "\\.[a-z]+$" "" _name ${_file})
  string(APPEND _source "      {\"${_name}\", R\"silc(${_text})silc\"sv},\n")
endforeach()
string(APPEND _source "  };\n  return kLists;\n}\n\n}  // namespace silc::datasets\n")
file(WRITE ${OUTPUT} "${_source}")
