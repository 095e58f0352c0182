#include "plugin/elf_section.h"

#include <elf.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

#include "silc/error.h"

namespace silc {
namespace {

static_assert(std::endian::native == std::endian::little, "silc runs on little-endian machines");

#if defined(__x86_64__)
constexpr Elf64_Half kThisMachine = EM_X86_64;
constexpr std::string_view kThisMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr Elf64_Half kThisMachine = EM_AARCH64;
constexpr std::string_view kThisMachineName = "64-bit ARM";
#else
#error "add this machine's ELF number"
#endif

std::string machine_name(Elf64_Half machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "64-bit ARM";
    case EM_386:
      return "32-bit x86";
    case EM_ARM:
      return "32-bit ARM";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC";
    default:
      return "machine type " + std::to_string(machine);
  }
}

// Reads parts of a file that may hold anything: every part is checked against the file's size first.
class BoundedFile {
 public:
  explicit BoundedFile(const std::filesystem::path& path) : path_(path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (status.type() == std::filesystem::file_type::not_found) throw Error(path.string() + ": no such file");
    if (status.type() != std::filesystem::file_type::regular) throw Error(path.string() + " is not a file");
    size_ = std::filesystem::file_size(path, error);
    stream_.open(path, std::ios::binary);
    if (error || !stream_) throw Error(path.string() + " cannot be read; check its permissions");
  }

  [[nodiscard]] uint64_t size() const { return size_; }

  void read(uint64_t offset, void* to, uint64_t count) {
    if (offset > size_ || count > size_ - offset) damaged();
    stream_.seekg(static_cast<std::streamoff>(offset));
    stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
    if (!stream_) damaged();
  }

  [[noreturn]] void damaged() const {
    throw Error(path_.string() +
                " is damaged: it ends too early or its ELF headers contradict each other; build it again");
  }

 private:
  std::filesystem::path path_;
  std::ifstream stream_;
  uint64_t size_ = 0;
};

Elf64_Ehdr read_header(BoundedFile& file, const std::filesystem::path& path) {
  const std::string name = path.string();
  unsigned char identity[EI_NIDENT] = {};
  if (file.size() == 0) throw Error(name + " is empty; build it again");
  if (file.size() >= SELFMAG) file.read(0, identity, SELFMAG);
  if (std::memcmp(identity, ELFMAG, SELFMAG) != 0)
    throw Error(name +
                " is not a shared library (it does not begin as an ELF file); name a .so file that a plugin was "
                "built into");
  file.read(0, identity, EI_NIDENT);
  if (identity[EI_CLASS] != ELFCLASS64)
    throw Error(name + " is not a 64-bit library; build it for " + std::string(kThisMachineName));
  if (identity[EI_DATA] != ELFDATA2LSB)
    throw Error(name + " is built for a big-endian machine; build it for " + std::string(kThisMachineName));
  Elf64_Ehdr header;
  file.read(0, &header, sizeof(header));
  if (header.e_machine != kThisMachine)
    throw Error(name + " is built for " + machine_name(header.e_machine) + "; build it for " +
                std::string(kThisMachineName));
  if (header.e_type != ET_DYN) throw Error(name + " is an ELF file but not a shared library; link it with -shared");
  return header;
}

std::vector<Elf64_Shdr> read_section_headers(BoundedFile& file, const Elf64_Ehdr& header) {
  if (header.e_shoff == 0 || header.e_shnum == 0) return {};
  if (header.e_shentsize != sizeof(Elf64_Shdr)) file.damaged();
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  file.read(header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr));
  return sections;
}

std::vector<std::byte> read_section(BoundedFile& file, const Elf64_Shdr& section) {
  if (section.sh_type == SHT_NOBITS) return {};
  if (section.sh_offset > file.size() || section.sh_size > file.size() - section.sh_offset) file.damaged();
  std::vector<std::byte> bytes(section.sh_size);
  file.read(section.sh_offset, bytes.data(), bytes.size());
  return bytes;
}

}  // namespace

std::vector<std::byte> read_elf_section(const std::filesystem::path& library, std::string_view name) {
  BoundedFile file(library);
  const Elf64_Ehdr header = read_header(file, library);
  const std::vector<Elf64_Shdr> sections = read_section_headers(file, header);
  if (sections.empty()) return {};
  if (header.e_shstrndx >= sections.size()) file.damaged();
  const std::vector<std::byte> names = read_section(file, sections[header.e_shstrndx]);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_name >= names.size()) {
      if (section.sh_type == SHT_NULL) continue;
      file.damaged();
    }
    const char* begin = reinterpret_cast<const char*>(names.data()) + section.sh_name;
    if (std::string_view(begin, strnlen(begin, names.size() - section.sh_name)) == name)
      return read_section(file, section);
  }
  return {};
}

}  // namespace silc
