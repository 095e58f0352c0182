# cmake -D FOLDER=registry/page -D OUTPUT=FILE.cpp -P embed.cmake: the page's style and script as a C++ source, all files
# of a kind one behind the other, with the script's hash as a Content-Security-Policy names it (SHA-256 in base64).
set(_style "")
set(_script "")
file(GLOB _styles ${FOLDER}/*.css)
file(GLOB _scripts ${FOLDER}/*.js)
list(SORT _styles)
list(SORT _scripts)
foreach(_file IN LISTS _styles)
  file(READ ${_file} _text)
  string(APPEND _style "${_text}")
endforeach()
foreach(_file IN LISTS _scripts)
  file(READ ${_file} _text)
  string(APPEND _script "${_text}")
endforeach()

string(SHA256 _hex "${_script}")
set(_letters "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
set(_hash "")
# Three bytes are four letters; of 32 bytes two are left over.
foreach(_i RANGE 0 60 6)
  string(SUBSTRING "${_hex}00" ${_i} 6 _six)
  math(EXPR _bits "0x${_six}")
  foreach(_shift 18 12 6 0)
    math(EXPR _index "(${_bits} >> ${_shift}) & 63")
    string(SUBSTRING "${_letters}" ${_index} 1 _letter)
    string(APPEND _hash "${_letter}")
  endforeach()
endforeach()
string(SUBSTRING "${_hash}" 0 43 _hash)
string(APPEND _hash "=")

file(WRITE ${OUTPUT} "#include \"registry/page/assets.h\"\n\nnamespace silc {\n\n"
  "std::string_view page_style() { return R\"silc(${_style})silc\"; }\n\n"
  "std::string_view page_script() { return R\"silc(${_script})silc\"; }\n\n"
  "std::string_view page_script_hash() { return \"sha256-${_hash}\"; }\n\n}  // namespace silc\n")
