// What names of files and classes say: folders that are no classes, sets in forms that are not read, names that only
// look alike. Called by the scans of folders and archives, and where class lists are compared.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fdi::datasets {

bool has_image_extension(std::string_view name);  // .jpg .jpeg .png, any case, of a file that is not hidden
// A folder that some program left there and that is no class: .ipynb_checkpoints, .git, __MACOSX.
bool is_hidden_folder(std::string_view name);

// "a, b and 3 more" of at most ten names, fit to be printed.
std::string list_of(const std::vector<std::string>& names);

// What a file of these first bytes is that is no tar ("a zip archive, which is not read; ..."), or "".
std::string other_format(std::string_view first_bytes);

// What a file or folder of this name belongs to where that is a set that is not read in this form, and what to do;
// else "". Archives within archives count. `bytes` is the size of a file, -1 where it is a folder or not known: names
// that many programs use (train.bin) count only with the size of CIFAR-100's records.
std::string unread_set(std::string_view name, int64_t bytes = -1);
bool is_archive(std::string_view name);
bool is_cifar_batch(std::string_view name);  // one of CIFAR-10's binary files: data_batch_1.bin, test_batch.bin

// Why two different names look equal to a person, or may: they differ in case, or in Unicode form (macOS stores an
// accent as a character of its own). Which accent it is is not compared. "" where they do not.
std::string look_alike(std::string_view a, std::string_view b);

}  // namespace fdi::datasets
