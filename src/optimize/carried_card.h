#pragma once
// What the card of a folder that was made from another keeps of that one's card, and the sections that such cards share.
#include <string>
#include <vector>

namespace mlac {

// What a folder's own card says and the new one keeps.
struct CarriedCard {
  std::string metadata;      // lines of YAML: licence and languages, whole
  std::string license;       // the Hub's id of it, or ""
  std::string pipeline_tag;  // or ""
  std::string data;          // below the title "Data" of a card that mlac wrote
  std::string run;           // the `mlac run` of such a card
};

// Of a folder; all empty where it has no card, or none that can be read. data and run are those of cards that mlac wrote.
CarriedCard ReadCard(const std::string& folder);

// The task of `mlac run` that the head of a folder's model is for. Throws as TransformerFolder and HeadOf.
std::string TaskOfFolder(const std::string& folder);

// "a, b and c", escaped; "" for none and for more than are read as a sentence.
std::string LabelList(const std::vector<std::string>& labels);

// "How to use it": with mlac, as the card says it, else as the task is called.
std::string UsageSection(const CarriedCard& card, const std::string& task);

// What the card of `name` says of its data, below a title; "" where it says nothing.
std::string DataSection(const std::string& title, const std::string& name, const CarriedCard& card);

}  // namespace mlac
