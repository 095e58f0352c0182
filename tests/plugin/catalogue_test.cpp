#include "plugin/catalogue.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "plugin/elf_section.h"
#include "plugin/option_values.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;

fs::path library_folder(const std::string& name) { return fs::path(SILC_BINARY_DIR) / "tests/libraries" / name; }
fs::path library(const std::string& name) { return library_folder(name) / (name + ".so"); }

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// A folder that is gone after the test.
class CatalogueTest : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& content) {
    const fs::path file = folder_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

  // The message that reading the file gives.
  static std::string refusal(const fs::path& file) {
    try {
      read_plugins(file);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

// Where the section of declarations lies in a library, found independently of the reader: by its first magic.
struct Section {
  std::size_t offset;
  std::size_t size;
};

Section section_of(const std::string& content) {
  const std::size_t offset = content.find(std::string(std::begin(kPluginMagic), std::end(kPluginMagic)));
  return {offset, read_elf_section(library("fakes"), "silc_plugins").size()};
}

std::string with_header(std::string content, const std::function<void(Elf64_Ehdr&)>& change) {
  Elf64_Ehdr header;
  std::memcpy(&header, content.data(), sizeof(header));
  change(header);
  std::memcpy(content.data(), &header, sizeof(header));
  return content;
}

TEST_F(CatalogueTest, ReadsEveryPluginOfALibrary) {
  const std::vector<PluginInfo> plugins = read_plugins(library("fakes"));
  EXPECT_EQ(plugins.size(), 13u);
}

TEST_F(CatalogueTest, ReadsADeclarationAsItWasWritten) {
  const fs::path folders[] = {library_folder("fakes")};
  const Catalogue catalogue = Catalogue::scan(folders);
  const PluginInfo& silc = catalogue.require(PluginKind::objective, "silc");
  EXPECT_EQ(silc.summary, "contrastive loss and self-distillation");
  EXPECT_EQ(silc.factory, "silc_objective_silc");
  EXPECT_EQ(silc.version, 3u);
  EXPECT_EQ(silc.library, library("fakes"));
  ASSERT_EQ(silc.options.size(), 6u);
  EXPECT_STREQ(silc.options[2].name, "local_views");
  EXPECT_STREQ(silc.options[2].help, "local crops per picture");
  EXPECT_EQ(silc.options[2].default_integer, 6);
  EXPECT_EQ(silc.options[2].maximum, 32);
}

TEST_F(CatalogueTest, RefusesATextFileNamedAsAPlugin) {
  const fs::path file = write("notes.so", "these are notes\n");
  EXPECT_EQ(refusal(file), file.string() +
                               " is not a shared library (it does not begin as an ELF file); name a .so file "
                               "that a plugin was built into");
}

TEST_F(CatalogueTest, RefusesAnEmptyFile) {
  const fs::path file = write("empty.so", "");
  EXPECT_EQ(refusal(file), file.string() + " is empty; build it again");
}

TEST_F(CatalogueTest, RefusesAFileThatDoesNotExist) {
  EXPECT_EQ(refusal("/nowhere/x.so"), "/nowhere/x.so: no such file");
}

TEST_F(CatalogueTest, RefusesAFolder) { EXPECT_EQ(refusal(folder_), folder_.string() + " is not a file"); }

TEST_F(CatalogueTest, RefusesALibraryOfA32BitMachine) {
  const std::string content =
      with_header(content_of(library("fakes")), [](Elf64_Ehdr& header) { header.e_ident[EI_CLASS] = ELFCLASS32; });
  EXPECT_THAT(refusal(write("small.so", content)), HasSubstr("is not a 64-bit library; build it for"));
}

TEST_F(CatalogueTest, RefusesALibraryOfAnotherMachine) {
  const std::string content =
      with_header(content_of(library("fakes")), [](Elf64_Ehdr& header) { header.e_machine = EM_RISCV; });
  EXPECT_THAT(refusal(write("other.so", content)), HasSubstr("is built for RISC-V; build it for"));
}

TEST_F(CatalogueTest, RefusesAnObjectFile) {
  const std::string content =
      with_header(content_of(library("fakes")), [](Elf64_Ehdr& header) { header.e_type = ET_REL; });
  EXPECT_THAT(refusal(write("object.so", content)), HasSubstr("is an ELF file but not a shared library"));
}

TEST_F(CatalogueTest, RefusesALibraryWithoutPlugins) {
  EXPECT_EQ(refusal(library("no_plugin")),
            library("no_plugin").string() +
                " holds no silc plugin; declare one with a macro like SILC_OBJECTIVE (silc/objective.h)");
}

TEST_F(CatalogueTest, RefusesAnotherAbi) {
  EXPECT_EQ(refusal(library("other_abi")),
            library("other_abi").string() + " was built with silc plugin ABI 999, this silc has " +
                std::to_string(SILC_ABI_VERSION) +
                ": rebuild it with silc plugin build DIR, DIR being the folder of its source");
}

TEST_F(CatalogueTest, RefusesAnotherLibTorch) {
  EXPECT_EQ(refusal(library("other_torch")), library("other_torch").string() +
                                                 " was built against LibTorch 1.9, this silc uses " TORCH_VERSION
                                                 ": rebuild it with silc plugin build DIR, DIR being the folder of its "
                                                 "source");
}

TEST_F(CatalogueTest, RefusesAnotherCompilerAbi) {
  EXPECT_THAT(refusal(library("other_compiler")), HasSubstr("rebuild it by silc's compiler (CXX) with silc plugin"));
}

TEST_F(CatalogueTest, NamesTheCommandThatRebuildsALibraryWhereItKnowsTheSource) {
  const std::filesystem::path source = write("CMakeLists.txt", "").parent_path();
  std::filesystem::create_directories(source / "build");
  std::filesystem::copy_file(library("other_torch"), source / "build/mine.so");
  EXPECT_THAT(refusal(source / "build/mine.so"), EndsWith(": rebuild it with silc plugin build " + source.string()));
}

TEST_F(CatalogueTest, ATruncatedLibraryIsRefused) {
  const std::string content = content_of(library("fakes"));
  for (std::size_t size = 0; size < content.size(); size += 61)
    EXPECT_NE(refusal(write("short.so", content.substr(0, size))), "") << size << " bytes";
}

// Every seventh, to be quick. A flipped bit may give another valid declaration (a letter of a help text), but never
// anything other than plugins or silc::Error.
TEST_F(CatalogueTest, SurvivesFlippedBitsOfTheDeclarations) {
  std::string content = content_of(library("fakes"));
  const Section section = section_of(content);
  ASSERT_NE(section.offset, std::string::npos);
  ASSERT_GT(section.size, sizeof(PluginHeader));
  const fs::path file = write("flipped.so", content);
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  int refused = 0;
  for (std::size_t bit = 0; bit < section.size * 8; bit += 7) {
    const std::size_t at = section.offset + bit / 8;
    const char changed = static_cast<char>(content[at] ^ (1 << (bit % 8)));
    stream.seekp(static_cast<std::streamoff>(at)).put(changed).flush();
    try {
      for (const PluginInfo& plugin : read_plugins(file)) default_options(plugin);
    } catch (const Error&) {
      ++refused;
    }
    stream.seekp(static_cast<std::streamoff>(at)).put(content[at]).flush();
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(refusal(file), "");
}

TEST_F(CatalogueTest, SurvivesEveryFlippedBitOfTheHeaders) {
  std::string content = content_of(library("fakes"));
  Elf64_Ehdr header;
  std::memcpy(&header, content.data(), sizeof(header));
  const fs::path file = write("flipped.so", content);
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  const auto flip_all = [&](std::size_t begin, std::size_t size) {
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      const std::size_t at = begin + bit / 8;
      stream.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(content[at] ^ (1 << (bit % 8)))).flush();
      try {
        read_plugins(file);
      } catch (const Error&) {
      }
      stream.seekp(static_cast<std::streamoff>(at)).put(content[at]).flush();
    }
  };
  flip_all(0, sizeof(header));
  flip_all(header.e_shoff, std::size_t{header.e_shnum} * sizeof(Elf64_Shdr));
  EXPECT_EQ(refusal(file), "");
}

TEST_F(CatalogueTest, AFlippedMagicIsDamageAndNotASilentlyMissingPlugin) {
  std::string content = content_of(library("fakes"));
  content[section_of(content).offset] ^= 1;
  EXPECT_THAT(refusal(write("flipped.so", content)), HasSubstr("do not begin as they should; build it again"));
}

TEST_F(CatalogueTest, ListsABrokenLibraryOfAFolderAndGoesOn) {
  fs::copy(library("fakes"), folder_ / "good.so");
  write("broken.so", "text");
  const fs::path folders[] = {folder_};
  const Catalogue catalogue = Catalogue::scan(folders);
  EXPECT_NE(catalogue.find(PluginKind::objective, "clip"), nullptr);
  ASSERT_EQ(catalogue.refused().size(), 1u);
  EXPECT_EQ(catalogue.refused()[0].library, folder_ / "broken.so");
}

TEST_F(CatalogueTest, PassesOverOtherFilesOfAFolder) {
  write("README.md", "text");
  const fs::path folders[] = {folder_};
  EXPECT_TRUE(Catalogue::scan(folders).refused().empty());
}

TEST_F(CatalogueTest, ThrowsForABrokenLibraryThatIsNamedItself) {
  const fs::path folders[] = {write("broken.so", "text")};
  EXPECT_THROW(Catalogue::scan(folders), Error);
}

TEST_F(CatalogueTest, ThrowsForANamedFolderThatDoesNotExist) {
  const fs::path folders[] = {"/nowhere/plugins"};
  try {
    Catalogue::scan(folders);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "plugin folder /nowhere/plugins does not exist; it is named by --plugin-path or SILC_PLUGIN_PATH");
  }
}

TEST_F(CatalogueTest, TheEarlierFolderWins) {
  fs::copy(library("fakes"), folder_ / "mine.so");
  const fs::path folders[] = {folder_, library_folder("fakes")};
  const Catalogue catalogue = Catalogue::scan(folders);
  EXPECT_EQ(catalogue.require(PluginKind::objective, "clip").library, folder_ / "mine.so");
  EXPECT_EQ(catalogue.plugins().size(), 13u);
  EXPECT_TRUE(catalogue.refused().empty());
}

TEST_F(CatalogueTest, TwoDeclarationsInOneFolderAreReported) {
  fs::copy(library("fakes"), folder_ / "a.so");
  fs::copy(library("fakes"), folder_ / "b.so");
  const fs::path folders[] = {folder_};
  const Catalogue catalogue = Catalogue::scan(folders);
  EXPECT_EQ(catalogue.require(PluginKind::objective, "clip").library, folder_ / "a.so");
  EXPECT_THAT(catalogue.refused().at(0).reason, HasSubstr("as a.so beside it does; remove one of them"));
}

TEST_F(CatalogueTest, SuggestsASimilarName) {
  const fs::path folders[] = {library_folder("fakes")};
  const Catalogue catalogue = Catalogue::scan(folders);
  try {
    static_cast<void>(catalogue.require(PluginKind::dataset, "fashion_scene"));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "there is no dataset \"fashion_scene\"; did you mean \"fashion_scenes\"?");
  }
}

TEST_F(CatalogueTest, SaysThatARefusedLibraryMayHoldWhatIsMissing) {
  const fs::path folders[] = {library_folder("fakes"), library_folder("other_torch")};
  const Catalogue catalogue = Catalogue::scan(folders);
  try {
    static_cast<void>(catalogue.require(PluginKind::dataset, "foreign"));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("other_torch.so was built against LibTorch 1.9"));
  }
}

TEST_F(CatalogueTest, FoldersOfTheEnvironmentFollowThoseThatAreNamed) {
  setenv("SILC_PLUGIN_PATH", "/first::/second", 1);
  const fs::path named[] = {"/named"};
  const std::vector<fs::path> folders = plugin_folders(named);
  unsetenv("SILC_PLUGIN_PATH");
  ASSERT_GE(folders.size(), 3u);
  EXPECT_EQ(folders[0], "/named");
  EXPECT_EQ(folders[1], "/first");
  EXPECT_EQ(folders[2], "/second");
}

TEST_F(CatalogueTest, TellsWhatAPluginNeeds) {
  const std::vector<fs::path> folders = {library_folder("fakes")};
  const Catalogue catalogue = Catalogue::scan(folders);
  const PluginInfo& segmentation = catalogue.require(PluginKind::evaluator, "zero_shot_segmentation");
  EXPECT_EQ(needs_in(segmentation.needs.needed), (std::vector{Need::classes, Need::masks}));
  EXPECT_EQ(needs_in(segmentation.needs.optional), std::vector{Need::several_captions});
  EXPECT_TRUE(needs_in(catalogue.require(PluginKind::objective, "clip").needs.needed).empty());
}

TEST_F(CatalogueTest, TellsWhichSplitsADatasetHas) {
  const std::vector<fs::path> folders = {library_folder("fakes")};
  const Catalogue catalogue = Catalogue::scan(folders);
  const std::vector<SplitInfo>& splits = catalogue.require(PluginKind::dataset, "fashion_scenes").splits;
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_EQ(splits[0].name, "train");
  EXPECT_EQ(splits[1].content, "new garments");
  EXPECT_TRUE(catalogue.require(PluginKind::dataset, "shapes").splits.empty());
}

}  // namespace
}  // namespace silc
