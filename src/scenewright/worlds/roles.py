"""What the models of furniture libraries are: labels by category and name, and the roles they can play in a room."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Which models can play a role.

    Args:
        names: regular expression that the whole name must match, ignoring case.
        smallest, largest: bounds of width, depth and height in metres.
        banned: categories that never fit.
        hung: models that hang on a wall are welcome.
    """

    names: str
    smallest: tuple[float, float, float] = (0.0, 0.0, 0.0)
    largest: tuple[float, float, float] = (9.0, 9.0, 2.4)
    banned: tuple[str, ...] = ("Exterior", "Vehicles", "Staircases", "Doors and windows")
    hung: bool = False

    def matches(self, category: str, name: str, size: tuple[float, float, float], elevation: float) -> bool:
        """Whether a model fits."""
        if category in self.banned or (elevation > 0.02 and not self.hung):
            return False
        if re.fullmatch(self.names, name, re.IGNORECASE) is None:
            return False
        return all(a <= s <= b for a, s, b in zip(self.smallest, size, self.largest, strict=True))


_SMALL = (0.5, 0.5, 0.5)
ROLES: dict[str, Rule] = {
    "chair": Rule(r"(oak |osaka |plastic |folding )?chair( with cushion)?", (0.38, 0.38, 0.7), (0.62, 0.66, 1.2)),
    "office chair": Rule(
        r"chair|armchair|class seat",
        (0.5, 0.5, 0.85), (0.7, 0.7, 1.1), ("Living room", "Kitchen", "Exterior"),
    ),
    "armchair": Rule(
        r"(modern |winchester |rattan )?armchair|puff|futon couch",
        (0.5, 0.5, 0.4), (1.15, 1.0, 1.15), (),
    ),
    "sofa": Rule(
        r"(.* )?(sofa|couch)( \d seats)?|convertible sofa bz|day bed|rattan sofa", (1.2, 0.6, 0.6), (2.9, 1.2, 1.1), ()
    ),
    "table": Rule(
        r"(wooden (alder |teak )?|oak |folding )?table( on trestles| with tablecloth)?",
        (0.8, 0.7, 0.7), (2.2, 1.3, 0.8),
    ),
    "coffee table": Rule(r"coffee table|rattan table|table", (0.6, 0.4, 0.3), (1.5, 0.9, 0.56), ()),
    "bookcase": Rule(r"(full )?bookcase|shelves|vertical shelves|cupboard|box", (0.4, 0.25, 1.0), (1.8, 0.6, 2.25)),
    "sideboard": Rule(
        r"dresser with drawers|tv stand|chest|box|shelves|television cabinet",
        (0.7, 0.3, 0.5), (1.7, 0.7, 1.1),
    ),
    "floor lamp": Rule(r"lamp|.*lamp", (0.2, 0.2, 1.0), (0.7, 0.7, 1.9)),
    "desk_lamp": Rule(r".*lamp|candle|japanese lantern", (0.1, 0.1, 0.14), (0.42, 0.45, 0.82)),
    "tv": Rule(r"tv|tv 16:9", (0.5, 0.1, 0.4), (1.3, 0.45, 0.9)),
    "bed": Rule(r"(child |iron |captain's |hospital )?bed|futon", (0.85, 1.85, 0.15), (2.1, 2.3, 1.2)),
    "nightstand": Rule(r"bedside table|filing cabinet", (0.3, 0.3, 0.3), (0.6, 0.6, 0.7)),
    "wardrobe": Rule(r"wardrobe|cupboard", (0.8, 0.35, 1.4), (2.3, 0.75, 2.4)),
    "bathtub": Rule(r"bath|corner bathtub|island bath", (1.4, 0.6, 0.5), (1.9, 1.7, 1.2)),
    "washbasin": Rule(r"washbasin|modern vanity|vanity|small lavatory", (0.4, 0.3, 0.3), (1.1, 0.8, 2.1), (), True),
    "toilet": Rule(r"toilets unit", (0.3, 0.4, 0.6), (0.5, 0.9, 0.9)),
    "washing machine": Rule(r"(clothes )?washing machine|dryer machine", (0.5, 0.5, 0.7), (0.7, 0.7, 1.0)),
    "fridge": Rule(r"(large )?fridge|refrigerator", (0.5, 0.5, 1.0), (0.95, 1.0, 1.95)),
    "plant": Rule(
        r".*plant|ficus|yucca|bamboo|cactus|christmas tree|bonsai tree|spathiphyllum",
        (0.2, 0.2, 0.4), (1.3, 1.3, 2.1),
    ),
    "potted_plant": Rule(r".*plant|cactus|bamboo|bonsai tree|ficus|augalas", (0.1, 0.1, 0.1), (0.45, 0.45, 0.5)),
    "flowers": Rule(r"tulips|orchids|flowers|white lily", (0.1, 0.1, 0.2), (0.5, 0.5, 0.65)),
    "vase": Rule(r"vase|pottery|old jar", (0.08, 0.08, 0.08), (0.35, 0.35, 0.6)),
    "person": Rule(r"(holding )?(fe)?male|boy|girl", (0.3, 0.2, 1.4), (0.85, 0.75, 1.95), ()),
    "bin_": Rule(
        r"dustbin|(bullet |residential )?trash ?can|recycling bin|clothes basket",
        (0.2, 0.2, 0.2), (0.6, 0.6, 0.8), (),
    ),
    "cardboard_box": Rule(
        r"(open )?cardboard box|crate|box|suitcase|trunck|barrel|pallet",
        (0.3, 0.2, 0.2), (1.0, 0.7, 0.95), ("Bedroom", "Living room", "Office"),
    ),
    "handbag": Rule(
        r"backpack|handbag|briefcase|shopping basket|teddy bear|basketball|soccer ball|sneakers",
        (0.15, 0.05, 0.1), (0.65, 0.6, 0.65),
    ),
    "stool": Rule(r"stool|piano bench|bench", (0.3, 0.3, 0.4), (0.7, 0.6, 0.82)),
    "mug": Rule(r"coffee (mug|cup)|cup|beer glass", (0.05,) * 3, (0.2, 0.2, 0.18)),
    "bottle": Rule(r"(wine|beer|yogurt|baby) bottle|milk|oil servers|spray bottle", (0.03,) * 3, (0.2, 0.2, 0.36), ()),
    "plates": Rule(
        r"(oval )?plate.*|bowl with salad|sushi tray|steak|roasted chicken|birthday cake|french fries",
        (0.1, 0.1, 0.01), _SMALL,
    ),
    "glass": Rule(r"(plastic )?cup|cocktail glass|salt shaker|sugar|creamer", (0.03,) * 3, (0.15, 0.15, 0.2)),
    "fruit_bowl": Rule(r"bowl with fruits|apples|bowl", (0.2, 0.2, 0.1), _SMALL),
    "kettle": Rule(r"boiler|teapot|espresso kettle|coffee press", (0.08,) * 3, (0.3, 0.3, 0.3)),
    "toaster": Rule(r"toaster|sandwich maker|bread box|blender|mixer", (0.1, 0.1, 0.05), (0.6, 0.4, 0.45)),
    "coffee_machine": Rule(r"coffee (maker|machine|brewer)|deep fryer", (0.1, 0.2, 0.2), (0.6, 0.6, 0.4)),
    "microwave": Rule(r"microwave|small oven", (0.3, 0.3, 0.2), (0.6, 0.5, 0.4)),
    "cutting_board": Rule(
        r"chopping board|tray|kitchen scale|electronic scale|knife stand|bread",
        (0.05, 0.05, 0.02), (0.45, 0.4, 0.4),
    ),
    "jar": Rule(r"spice tower|utensils pot|paper towel holder|pottery|candle", (0.05,) * 3, (0.25, 0.25, 0.45)),
    "pan": Rule(r"large pan|cooker|boiler", (0.1,) * 3, (0.4, 0.45, 0.3)),
    "laptop": Rule(r"laptop|apple ibook", (0.2, 0.2, 0.15), (0.45, 0.4, 0.35)),
    "telephone": Rule(r"phone|wireless phone", (0.08, 0.08, 0.05), (0.3, 0.3, 0.2)),
    "pen_cup": Rule(r"penbox|letter tray|stapler", (0.02, 0.05, 0.03), (0.35, 0.45, 0.2)),
    "speaker": Rule(
        r"speaker|radio|mini stereo|stereo amplifier|mp3 station|dvd player|table fan",
        (0.1, 0.05, 0.05), (0.55, 0.45, 0.6),
    ),
    "controller": Rule(
        r"joystick|tv remote control|mobile phone|apple iphone|tablet|rubik's cube|keys|glasses",
        (0.03, 0.03, 0.005), (0.2, 0.3, 0.1),
    ),
    "carton": Rule(
        r"gift|clock|toy train|car model|radio|reflex camera|camera|milk",
        (0.06, 0.03, 0.04), (0.4, 0.3, 0.35),
    ),
    "cloth": Rule(r"folded clothes|gloves?|cap|hat|slippers|helmet|towel", (0.1, 0.05, 0.02), (0.5, 0.5, 0.35)),
    "dispenser": Rule(r"soap|flacon|medicine bottle|bottle|cosmetics pot", (0.02, 0.02, 0.05), (0.15, 0.15, 0.25)),
    "basket": Rule(r"apples|bread|roasted chicken|shopping basket", (0.15, 0.1, 0.05), (0.4, 0.4, 0.3)),
}  # fmt: skip
"""Roles by name: those that furnishing rules ask for, among them the names of clutter makers."""

USES_BY_ROLE = {
    "table": "table", "coffee table": "coffee", "sideboard": "sideboard", "nightstand": "bedside",
    "fridge": "store",
}  # fmt: skip
"""What stands on the models of a role."""

_LABELS: tuple[tuple[str, str, str], ...] = (
    (r"Doors and windows", r".*(window|shutter).*", "window"),
    (r"Doors and windows", r".*", "wall"),
    (r".*", r"(window )?blinds?|curtain|shower curtain|screen", "window"),
    (r".*", r".*\b(tv|imac|television|screen)\b.*(?<!cabinet)(?<!stand)(?<!control)", "tv"),
    (r"Vehicles", r".*", "objects"),
    (r".*", r".*\b(lamp|fan|bath|clock)\b.*", "objects"),
    (r".*", r".*(sofa|couch|futon couch)\b.*", "sofa"),
    (r".*", r".*\b(chair|armchair|seat|stool|bench|puff|lounge|wheelchair|bank)\b.*", "chair"),
    (r".*", r".*\b(bed|crib|futon|mattress|hammock|sleeping bag)\b.*", "bed"),
    (r".*", r"(?!.*(bedside|tennis|football|pool|changing|dressing)).*\b(table|desk)\b.*", "table"),
    (r".*", r".*\b(rug|carpet|tatami|bathmat|doormat)\b.*", "floor"),
    (
        r"(Living room|Kitchen|Bedroom|Bathroom|Office|Miscellaneous)",
        r"(full |contemporary )?(bookcase|living room|shelves|vertical shelves|cupboard|wardrobe|chest|"
        r"dresser.*|tv stand|television cabinet|bedside table|dressing table|changing table|filing cabinet|.*cabinet|"
        r"box|island.*|(large )?fridge|refrigerator|.*oven|.*stove|hood|range hood|chest freezer|workbench|safe|"
        r"fireplace|vanity|double vanity|clothes rack)",
        "furniture",
    ),
)


def label_of(category: str, name: str) -> str:
    """The class of `scenewright.labels.LABELS` of a model; whatever is nothing else is "objects"."""
    for of_category, of_name, label in _LABELS:
        if re.fullmatch(of_category, category, re.IGNORECASE) and re.fullmatch(of_name, name, re.IGNORECASE):
            return label
    return "objects"
