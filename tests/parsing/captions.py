"""Captions with what a reader would write down: objects, attributes, actions."""

from __future__ import annotations

# caption; objects and scenes; attributes; actions
EXPECTED: list[tuple[str, str, str, str]] = [
    # failures of the published rule sets
    ("a cat laying in a suitcase next to a pillow", "cat, suitcase, pillow", "", "lay"),
    (
        "many planes are parked next to a long building in an airport",
        "plane, building, airport",
        "long",
        "park",
    ),
    ("a man surfing", "man", "", "surf"),
    ("a dog lying on a carpet", "dog, carpet", "", "lie"),
    ("a woman standing in front of a table", "woman, table", "", "stand"),
    ("bananas hanging from the ceiling", "banana, ceiling", "", "hang"),
    ("The dog is brown and fluffy", "dog", "brown, fluffy", ""),
    ("red and blue striped umbrella", "umbrella", "red, blue, striped", ""),
    ("a man eats pizza and drinks milk", "man, pizza, milk", "", "eat, drink"),
    ("a person's hand", "person, hand", "", ""),
    ("A dog runs.", "dog", "", "run"),
    ("a fire hydrant pouring water", "fire hydrant, water", "", "pour"),
    ("a group of people sitting around a fire", "person, fire", "", "sit"),
    ("a boy riding a horse", "boy, horse", "", "ride"),
    # compounds
    ("a double decker bus on a road", "double decker bus, road", "", ""),
    ("a red alarm clock on a wooden desk", "alarm clock, desk", "red, wooden", ""),
    ("two teddy bears and a hot dog", "teddy bear, hot dog", "", ""),
    ("a polar bear on the ice", "polar bear, ice", "", ""),
    ("a boy in a white t-shirt", "boy, t-shirt", "white", ""),
    ("a traffic light above a city street", "traffic light, city street", "", ""),
    # attributes
    ("a little girl with red hair", "girl, hair", "little, red", ""),
    ("a snow-covered mountain", "mountain", "snow-covered", ""),
    ("a smiling woman", "woman", "", "smile"),
    ("the sky looks blue", "sky", "blue", ""),
    ("a man in red", "man", "red", ""),
    ("three large dogs and several small cats", "dog, cat", "large, small", ""),
    ("a shirtless man", "man", "shirtless", ""),
    # verbs
    ("a bus parked on the street", "bus, street", "", "park"),
    ("a cake is cut by a woman", "cake, woman", "", "cut"),
    ("a boy who is throwing a ball", "boy, ball", "", "throw"),
    ("a girl is about to jump into a pool", "girl, pool", "", "jump"),
    ("there is a bird in the tree", "bird, tree", "", ""),
    ("a woman has a bag", "woman, bag", "", ""),
    ("an airplane taking off from a runway", "airplane, runway", "", "take off"),
    ("two men and a woman are singing and dancing", "man, woman", "", "sing, dance"),
    ("the ball that a dog chases", "ball, dog", "", "chase"),
    ("A small dog and a large dog play together", "dog", "small, large", "play"),
    ("Two dogs tug at a blue leash", "dog, leash", "blue", "tug"),
    ("A girl wearing a red dress kneeling", "girl, dress", "red", "wear, kneel"),
    # quantities, parts, containers
    ("a slice of pizza on a plate", "pizza, plate", "", ""),
    ("a lot of sheep in a field", "sheep, field", "", ""),
    ("a pair of scissors", "scissors", "", ""),
    ("a cup of coffee", "cup, coffee", "", ""),
    ("a bird on top of a fence", "bird, fence", "", ""),
    # negation
    ("there are no people on the beach", "beach", "", ""),
    ("a man without a hat or a coat", "man", "", ""),
    ("the woman is not wearing a helmet", "woman", "", ""),
    # words about the picture
    ("a photo of a boat on a lake", "boat, lake", "", ""),
    ("stock image of a tiger, close-up view", "tiger", "", ""),
    ("a tree in the background", "tree", "", ""),
    # names, dates, pronouns
    ("London, June 2015", "", "", ""),
    ("he gave it to her", "", "", "give"),
    ("a Dalmatian with Peter", "dalmatian", "", ""),
    # plurals and lemmas
    ("men and women with children", "man, woman, child", "", ""),
    ("geese, mice and wolves", "goose, mouse, wolf", "", ""),
    ("people in jeans and sunglasses", "person, jeans, sunglasses", "", ""),
    # writing habits
    ("A BLACK CAT SLEEPS ON A CHAIR", "cat, chair", "black", "sleep"),
    ("a knife &amp; a fork", "knife, fork", "", ""),
    ("A Young Boy Kicks A Ball", "boy, ball", "young", "kick"),
    # faults of the language model, mended
    ("A skateboarder flies through the air", "skateboarder, air", "", "fly"),
    ("A man in a blue shirt climbs a rock", "man, shirt, rock", "blue", "climb"),
    (
        "A biker in red striped helmet rides through the trees",
        "biker, helmet, tree",
        "red, striped",
        "ride",
    ),
    ("Firemen stand outside a burning building", "fireman, building", "", "stand, burn"),
    ("A boy pets a sleeping tiger .", "boy, tiger", "", "pet, sleep"),
    ("Child dressed in blue is smiling underwater .", "child", "blue", "dress, smile"),
    ("A dog jumps to catch the purple Frisbee .", "dog, frisbee", "purple", "jump, catch"),
    ("grill , stove in the kitchen .", "grill, stove, kitchen", "", ""),
    ("A dog sled team and their driver .", "dog sled team, driver", "", ""),
    # qualities, not activities or counts
    ("people climbing a snow covered mountain", "person, snow, mountain", "snow covered", "climb"),
    ("a stenciled wall", "wall", "stenciled", ""),
    ("A dog is jumping with its mouth open .", "dog, mouth", "open", "jump"),
    ("a challenging maze", "maze", "challenging", ""),
    ("the tenth planet and the 75th anniversary", "planet, anniversary", "", ""),
    ("a man in a light blue shirt", "man, shirt", "light blue", ""),
    ("Man and woman looking surprised", "man, woman", "surprised", ""),
    ("a tourist falls asleep on a couch", "tourist, couch", "", "fall asleep"),
    # things that look like measures, and measures with a quality
    ("Three children play on a swing set .", "child, swing set", "", "play"),
    ("A little girl in a white top", "girl, top", "little, white", ""),
    ("a rusting piece of metal", "metal", "", ""),
    # corpora with spaces around hyphens, and hashtags
    ("a close - up of award - winning flowers", "flower", "award-winning", ""),
    ("a big house - the story of a dog", "house, story, dog", "big", ""),
    ("a dog runs # beach", "dog, beach", "", "run"),
    ("A dog chasing a ball indoors .", "dog, ball", "", "chase"),
    ("fire over a black base .", "fire, base", "black", ""),
    ("Two little girls in blue dresses laugh .", "girl, dress", "little, blue", "laugh"),
    ("A female wearing all black is speaking to a man", "female, man", "black", "wear, speak"),
    ("People in orange vests are rowing", "person, vest", "orange", "row"),
    (
        "Man and woman looking surprised , with a man holding headphones .",
        "man, woman, headphones",
        "surprised",
        "hold",
    ),
    # who belongs to what, and who is only counted
    ("the crew of a satellite", "crew, satellite", "", ""),
    ("a couple of people sit in chairs", "person, chair", "", "sit"),
    ("a city received centimetres of snow", "city, snow", "", "receive"),
    # once a ring in the tree, and no end
    ("person - a gallery couple photo sharing website", "gallery couple, website", "", "share"),
]
