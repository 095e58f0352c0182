// Stand-ins for what Debian's openclipart-png and lomiri-wallpapers-16.04 install.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>

namespace silc::testing {

inline void make_file(const std::filesystem::path& file, const std::string& content) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << content;
}

// FOLDER/openclipart/png/… for every drawing that silc knows: `png_of` gives the file of a class, "" being none.
inline void make_drawings(const std::filesystem::path& folder,
                          const std::function<std::string(const std::string& name)>& png_of) {
  // Thousands of names for a file a class: links are made faster.
  std::map<std::string, std::filesystem::path> files;
  std::ifstream table(SILC_SOURCE_DIR "/plugins/datasets/openclipart/drawings.tsv");
  std::string line;
  for (int number = 1; std::getline(table, line); ++number) {
    if (number <= 2) continue;  // a comment, and the columns' names
    const std::size_t tab = line.find('\t');
    const std::string name = line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1);
    const auto path = folder / "openclipart/png" / (line.substr(0, tab) + ".png");
    if (std::filesystem::path& file = files[name]; file.empty()) {
      make_file(path, png_of(name));
      file = path;
    } else {
      std::filesystem::create_directories(path.parent_path());
      std::filesystem::create_hard_link(file, path);
    }
  }
}

// FOLDER/backgrounds/…: the photographs, all of them `jpeg`.
inline void make_photographs(const std::filesystem::path& folder, const std::string& jpeg) {
  for (const char* name :
       {"Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Picture_0B_by_freespace", "Picture_1A_by_freespace",
        "Wine_by_Jakkub_Mede", "aitzgorri_by_Aitzol_Berasategi", "analogpattern_by_Peter_Nerlich",
        "free_by_Peter_Nerlich", "friends_by_Aitzol_Berasategi", "greentock_by_Peter_Nerlich",
        "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi", "seeding_by_Clements_Engelhardt",
        "sunset_by_Aitzol_Berasategi", "umang_by_Abhishek_Mudgal"})
    make_file(folder / "backgrounds" / (std::string(name) + ".jpg"), jpeg);
}

}  // namespace silc::testing
