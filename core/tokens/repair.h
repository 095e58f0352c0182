// ftfy.fix_text() of ftfy 6.3 (Robyn Speer, Apache License 2.0), with which CLIP's tokenizer begins: text that was
// decoded wrongly ("schÃ¶n"), entities of HTML, curly quotes, ligatures, full-width letters, line breaks, terminal
// escapes and control characters, and NFC.
#pragma once

#include <string>
#include <string_view>

namespace silc {

std::u32string repair_text(std::u32string_view text);

}  // namespace silc
