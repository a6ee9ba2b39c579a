"""What each category is for, in words that do not name it.

A clause completes "the place ..." and "the places ...". Training and evaluation never share one, so that a model is
tested on wordings it has not seen. `looks` is for answers, which may name things.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """Wording for one category.

    Attributes:
        singular, plural: its name, for answers only.
        looks: what it looks like from above.
        train, evaluation: clauses; `train` is empty for categories that training never asks about.
        forbidden: words that would give it away in a question, as word beginnings.
    """

    singular: str
    plural: str
    looks: str
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    forbidden: tuple[str, ...]


PHRASES: dict[str, Phrases] = {
    "airport apron": Phrases(
        "airport apron", "airport aprons", "a wide concrete slab with parked aircraft beside a long terminal roof",
        (
            "where passengers step across to waiting jets while crews refuel and load baggage",
            "where jets stand side by side between two flights to be cleaned and serviced",
            "on which an airliner would wait overnight until its crew returns in the morning",
            "where fuel trucks and baggage carts meet a flight that has just arrived",
            "on which a newly arrived jet would be directed to stop and shut its engines down",
        ),
        (
            "where ground crews guide jets into marked stands so that travellers can leave the cabin",
            "on which several airliners can stand still at once while doors and holds are open",
            "where a delayed flight would sit until its travellers are allowed on board",
            "where pushback tractors begin moving an airliner towards its departure",
        ),
        ("apron", "airport", "tarmac"),
    ),
    "airport runway": Phrases(
        "airport runway", "airport runways", "a long straight paved strip with white bars at both ends",
        (
            "where a heavy aircraft could gather enough speed to leave the ground",
            "on which a pilot with a failing engine would want to put the wheels down",
            "that must be kept free of snow and debris so that jets can touch down safely",
            "where tyres leave dark rubber each time a flight comes back to earth",
            "where a relief plane full of supplies could come down and later leave again",
        ),
        (
            "on which an arriving jet first meets the earth and brakes from high speed",
            "where a fully loaded cargo plane would begin its climb into the sky",
            "that an approaching pilot lines up with during the last minutes of a flight",
            "where an emergency arrival from the air would be met by waiting fire engines",
        ),
        ("runway", "airstrip", "landing strip", "airport", "airfield"),
    ),
    "baseball field": Phrases(
        "baseball field", "baseball fields", "a fan of grass around a square of bare dirt with four bases",
        (
            "where a batter swings at a ball and then sprints around four corners",
            "where nine players spread over dirt and grass to catch a ball that was hit high",
            "where a team could practise pitching, batting and running between bases",
            "where a crowd would cheer for a ball that is struck over the outer fence",
            "where a summer league meets to play innings until one side leads",
        ),
        (
            "where a pitcher faces a batter and runners hurry home from the third corner",
            "where children learn to throw from a mound and slide across raked dirt",
            "where an umpire crouches behind the catcher to judge every throw",
            "where a glove, a bat and a leather ball would be all a visitor needs",
        ),
        ("baseball", "softball", "ballpark", "diamond"),
    ),
    "basketball court": Phrases(
        "basketball court", "basketball courts", "a small painted rectangle with a centre circle and a key at each end",
        (
            "where five players a side bounce a ball and throw it through a raised ring",
            "where teenagers would meet after school to practise dunks and free throws",
            "where a hard painted floor lets a ball bounce back evenly to the hand",
            "where a quick game of three against three could start under two hoops",
            "where a player dribbles past the others to score from under the rim",
        ),
        (
            "where a shot from behind the curved line counts three points",
            "where two teams run from hoop to hoop on a hard painted floor",
            "where a ball must be bounced on the ground while its holder walks or runs",
            "where players jump for the rebound after a missed throw at the ring",
        ),
        ("basketball", "court"),
    ),
    "beach": Phrases(
        "beach", "beaches", "a pale strip of sand between the land and a line of foam",
        (
            "where families spread towels in summer and walk barefoot into the waves",
            "where loose grains slide between the toes and breaking waves run out",
            "where sea turtles could crawl ashore at night to bury their eggs",
            "where a small boat could be dragged out of the surf without harming its hull",
            "where lifeguards would watch over swimmers on a hot weekend",
        ),
        (
            "where holidaymakers rent parasols and children build castles at the edge of the waves",
            "that a storm surge would eat away first because nothing but loose grains protects it",
            "where surfers carry their boards down to the breaking waves",
            "where the tide leaves shells and driftwood in a line every day",
        ),
        ("beach", "sand", "seaside"),
    ),
    "bridge": Phrases(
        "bridge", "bridges", "a straight deck that carries a road from one bank to the other",
        (
            "where drivers cross from one bank to the other without getting wet",
            "that would cut the two banks off from each other if it were closed for repair",
            "where traffic passes above flowing water on a deck held up by piers",
            "that an army would want to hold in order to move trucks across the water",
            "where a lorry driver has to watch the weight limit before going over the water",
        ),
        (
            "that lets the road continue over flowing water from one side to the other",
            "where boats pass beneath while cars roll along above their masts",
            "that engineers would inspect after a flood has scoured its supports",
            "without which people on one bank would need a ferry to visit the other",
        ),
        ("bridge", "overpass", "viaduct"),
    ),
    "dam": Phrases(
        "dam", "dams", "a curved concrete wall across a valley with still water behind it and white spill below",
        (),
        (
            "that holds a whole valley of water back and lets it out when it is needed",
            "whose failure would send a wall of water down the valley within minutes",
            "where falling water can be turned into electricity for the towns downstream",
            "that engineers open step by step when heavy rain fills the valley above it",
            "where a curved wall of concrete stands against the weight of stored water",
            "that decides how much water the farms downstream receive in a dry summer",
        ),
        ("dam", "barrage", "weir", "reservoir"),
    ),
    "golf course": Phrases(
        "golf course", "golf courses", "bright mown lanes with pale greens and sandy hollows among groves",
        (),
        (
            "where players walk long mown lanes and end each one by rolling a small ball into a cup",
            "where a small white ball is struck over hundreds of metres towards a flag",
            "where sandy hollows and groves are laid out on purpose to make a game harder",
            "where members carry a bag of clubs from tee to flag on a quiet morning",
            "where grass is cut to different heights so that a small ball rolls true",
            "where eighteen flags could be visited in an afternoon with clubs and a cart",
        ),
        ("golf", "links", "fairway"),
    ),
    "greenhouse": Phrases(
        "greenhouse", "greenhouses", "rows of bright, glassy roofs set closely side by side",
        (
            "where vegetables ripen in winter because light comes in and cold stays out",
            "where a grower can raise seedlings under cover while fields outside lie frozen",
            "where tomatoes would be picked in any month under a clear roof",
            "where warmth and moisture are trapped so that flowers open out of season",
            "that a hailstorm would harm most, since clear panes cover everything grown there",
        ),
        (
            "where crops are sheltered beneath clear film so that harvests do not wait for spring",
            "where a farmer controls warmth and moisture beneath long see-through roofs",
            "where cucumbers and cut flowers could be grown while snow lies outside",
            "where bees are brought in to pollinate plants that never feel the wind",
        ),
        ("greenhouse", "glasshouse", "hothouse", "polytunnel"),
    ),
    "ground track field": Phrases(
        "ground track field", "ground track fields", "a red oval of lanes around a green infield",
        (
            "where sprinters and distance runners race along curved lanes",
            "where a school would hold its athletics day with relays and long jumps",
            "where a runner completes a lap of four hundred metres and starts over",
            "where a coach with a stopwatch times athletes around two bends",
            "where hurdles can be set up lane by lane for a race",
        ),
        (
            "where runners stay in marked lanes around two bends until the finish line",
            "where an athletics club would time its members over eight hundred metres",
            "where a baton is passed from hand to hand between four runners",
            "where spikes grip a rubber surface during a lap at full speed",
        ),
        ("track", "athletic field", "running oval"),
    ),
    "helipad": Phrases(
        "helipad", "helipads", "a small marked square or circle with a large letter H",
        (),
        (
            "where a rescue crew with spinning rotors could set down exactly on a mark",
            "where a patient would arrive by air without any long paved strip",
            "that a rotor pilot aims for, guided by one large letter within a circle",
            "where an aircraft that rises straight up may begin its flight",
            "where a medical flight could touch down within a few metres of space",
            "that has to stay clear of cars because rotors may come down on it at any time",
        ),
        ("helipad", "heliport", "helicopter", "chopper", "landing pad"),
    ),
    "island": Phrases(
        "island", "islands", "a patch of wooded land with a pale rim, surrounded by water on every side",
        (
            "where nobody could arrive or leave without a boat or wings",
            "that would keep its animals apart from the mainland for thousands of years",
            "where a castaway would walk in a loop and always come back to the same shore",
            "that is cut off on all sides, so that supplies have to come over the waves",
            "where ground-nesting seabirds are safe because foxes cannot walk there",
        ),
        (
            "where dry ground is ringed by open water in every direction",
            "that a ferry would have to serve because no road can lead there",
            "where a lighthouse keeper would live far from any neighbour on the mainland",
            "that a swimmer could go around without ever leaving the shoreline",
        ),
        ("island", "islet", "isle", "atoll"),
    ),
    "lake": Phrases(
        "lake", "lakes", "a broad, dark, still sheet of water with a closed shore",
        (
            "where anglers row out on still water that has a shore all around",
            "where a firefighting plane could scoop up water without going to the ocean",
            "where the town could store its drinking supply through a dry summer",
            "where rowers train because no current pushes them off their line",
            "where migrating ducks would come down to rest on calm fresh water",
        ),
        (
            "where still fresh water gathers in a hollow and mirrors the sky",
            "where ice would form first in winter because nothing there flows",
            "where a sailing club could hold races with a shore on every side",
            "where runoff from the surrounding slopes ends up and stays",
        ),
        ("lake", "pond", "lagoon", "reservoir"),
    ),
    "parking lot": Phrases(
        "parking lot", "parking lots", "a paved rectangle with painted bays and rows of vehicles",
        (
            "where visitors leave their vehicles in painted bays before walking on",
            "where hundreds of drivers could stop for hours without blocking any street",
            "where a shopper returns with bags and looks for the right row",
            "where rain runs straight off the asphalt between rows of stationary vehicles",
            "where roofs with solar panels could shade many stationary vehicles",
        ),
        (
            "where commuters switch off their engines in the morning and come back in the evening",
            "where painted lines give every vehicle a space of its own",
            "where a weekly market could be set up once the vehicles are moved away",
            "where electric vehicles would be charged in rows while their owners are busy",
        ),
        ("parking", "car park", "carpark", "garage"),
    ),
    "pier": Phrases(
        "pier", "piers", "a narrow deck that runs from the shore out into the sea",
        (
            "where a ferry could tie up far enough from shore to have water under its keel",
            "on which one can walk out above the waves and cast a fishing line into deep water",
            "where sailors step from deck to planks and carry their goods ashore",
            "that reaches out from the shore so that boats need not come into the shallows",
            "where ropes are thrown around posts to hold a boat against the swell",
        ),
        (
            "where a visiting boat would be moored so that its crew can walk to land",
            "on which strollers walk out over the water to watch the sunset",
            "where cargo is swung from a hull onto planks above the waves",
            "that a winter storm would batter from both sides because it stands in the sea",
        ),
        ("pier", "jetty", "wharf", "dock", "quay"),
    ),
    "quarry": Phrases(
        "quarry", "quarries", "a pale pit with stepped rock faces and a road that winds down",
        (
            "where stone is blasted loose and hauled up a winding road for building",
            "where the ground was cut into giant steps to reach the rock below",
            "where trucks are filled with gravel for new roads in the region",
            "where dust would drift over the neighbours on a dry and windy day",
            "where a geologist could read the layers of rock in an open face",
        ),
        (
            "where excavators bite into bare rock and leave the land in steps",
            "where limestone for cement would be dug out under the open sky",
            "where a warning siren sounds before explosives loosen the next face",
            "that will be left as a deep hollow once its stone has been carried off",
        ),
        ("quarry", "mine", "pit"),
    ),
    "river": Phrases(
        "river", "rivers", "a winding ribbon of water that crosses the whole scene",
        (
            "that carries rain from the hills through this land and on to the sea",
            "where a canoe would drift along bend after bend without any paddling",
            "that could rise over its banks after days of rain upstream",
            "where fish swim against the current to reach their spawning grounds",
            "that drains this land and winds from one side of it to the other",
        ),
        (
            "where flowing water carves its outer bends and drops silt along the inner ones",
            "that barges would follow to carry grain downstream to a port",
            "whose current could turn a mill wheel at any time of the year",
            "where paddlers going upstream need more strength than those going down",
        ),
        ("river", "stream", "creek", "canal"),
    ),
    "roundabout": Phrases(
        "roundabout", "roundabouts", "a ring of road around a green centre where several roads meet",
        (
            "where drivers give way and circle until they reach the road they want",
            "where traffic from several directions mixes without any signal lights",
            "that makes every vehicle slow down and turn around a planted centre",
            "where a driver who missed the turn can simply go around once more",
            "where roads from several sides meet in a ring",
        ),
        (
            "where vehicles flow in one direction around a planted middle before leaving",
            "that replaced a dangerous crossing, because everyone has to slow down and circle",
            "where a learner driver practises yielding to vehicles that are already circling",
            "where the traffic of several roads is sorted by going around in a circle",
        ),
        ("roundabout", "rotary", "traffic circle"),
    ),
    "solar plant": Phrases(
        "solar plant", "solar plants", "long rows of dark blue panels within a fenced yard",
        (
            "where sunshine is turned into current by row after row of dark glass",
            "that would feed most power into the grid at noon on a cloudless day",
            "where tilted dark sheets face the sky to earn their owner money from daylight",
            "that stops delivering energy at dusk and starts again at sunrise",
            "where dust has to be washed off dark glass so that output does not fall",
        ),
        (
            "where energy is gathered silently from daylight without smoke or turning blades",
            "whose output would drop within seconds when a cloud passes over",
            "where thousands of dark sheets in straight rows charge the grid during the day",
            "that would produce nothing at midnight but plenty at noon in June",
        ),
        ("solar", "photovoltaic", "panel"),
    ),
    "stadium": Phrases(
        "stadium", "stadiums", "an oval ring of stands around a striped pitch",
        (
            "where tens of thousands of spectators sit around a single match",
            "where a cup final would be played before rising rows of seats",
            "where a rock band could perform for a crowd that fills the stands on all sides",
            "where noise from cheering fans rises out of a ring of seats",
            "where people could shelter in their thousands after a disaster, seated in rows",
        ),
        (
            "where supporters fill curved stands on match day and the streets around are crowded",
            "where an opening ceremony could be shown to a city all at once",
            "where floodlights and rings of seats surround a single striped pitch",
            "where ticket holders are led through gates to numbered rows around a lawn",
        ),
        ("stadium", "arena", "coliseum"),
    ),
    "storage tank": Phrases(
        "storage tank", "storage tanks", "a round, pale container with a shadow inside a square bund",
        (
            "where fuel is kept in bulk behind a low wall that would hold a leak",
            "that a fire brigade would cool first if flames came close to this site",
            "where thousands of cubic metres of oil wait in round steel walls",
            "where liquid is pumped in from a pipeline and kept until a ship collects it",
            "where a floating lid keeps vapour from escaping as the level falls",
        ),
        (
            "where petrol for a whole region could be held in round steel walls",
            "that has to be ringed by an earth wall in case its liquid escapes",
            "where an inspector climbs a curved stair to measure how much liquid is left",
            "where chemicals are kept in bulk under a round lid until they are needed",
        ),
        ("tank", "silo", "container", "depot"),
    ),
    "substation": Phrases(
        "substation", "substations", "a gravel yard with bus bars on gantries and a row of transformers",
        (
            "whose failure would leave the surrounding streets dark",
            "where high voltage from far away is brought down to what homes can use",
            "where a fence keeps people away from humming coils and bare conductors",
            "where switching gear cuts off a damaged line before it harms the grid",
            "where current arrives on tall lines and leaves at a lower voltage",
        ),
        (
            "where voltage is stepped down between the long lines and the town",
            "that a saboteur would strike to black out the neighbourhood",
            "where linemen open breakers before they work on a line",
            "where metal frames carry bare conductors above a bed of gravel",
        ),
        ("substation", "transformer", "power station", "switchyard"),
    ),
    "swimming pool": Phrases(
        "swimming pool", "swimming pools", "a small turquoise basin with a pale deck beside a house",
        (
            "where residents cool off in clear blue water on a hot afternoon",
            "where a helicopter crew could find clean water close to the houses in a fire",
            "where chlorine is added each week so that people can bathe safely",
            "where a child could learn to float under the eyes of a parent on the deck",
            "where a garden party would end with a dive from the edge",
        ),
        (
            "where someone could do laps before breakfast without leaving the garden",
            "where clear blue water has to be covered in winter and cleaned in spring",
            "where a fence is required by law so that toddlers do not drown",
            "where mosquitoes would breed if the pump and the filter were switched off",
        ),
        ("pool", "swim", "jacuzzi"),
    ),
    "tennis court": Phrases(
        "tennis court", "tennis courts", "a coloured rectangle with white lines and a net across its middle",
        (
            "where two players hit a felt ball back and forth across a low net",
            "where a serve has to land within a painted box on the other side",
            "where rackets would be needed to start a game of singles or doubles",
            "where a player calls the score of love before the first serve",
            "where a net across the middle keeps two opponents on their own sides",
        ),
        (
            "where doubles partners share one side of a low net",
            "where a ball that bounces twice loses the point for whoever let it",
            "where a strong serve can end a rally before it starts",
            "where a line judge would decide if a felt ball was in or out",
        ),
        ("tennis", "court"),
    ),
    "train station": Phrases(
        "train station", "train stations", "a hall and long roofed platforms between parallel tracks",
        (
            "where commuters wait under long roofs for carriages to stop beside them",
            "where a traveller could board and be carried to another city on steel wheels",
            "where announcements tell which side the next carriages arrive on",
            "where people step out of carriages and walk through a hall into the town",
            "where timetables decide when crowds appear and vanish along the rails",
        ),
        (
            "where a journey on rails begins and ends for the people of this town",
            "where passengers stand behind a painted line until the doors slide open",
            "where a footway leads over the rails to the side from which one departs",
            "where luggage is lifted into carriages during a stop of a few minutes",
        ),
        ("station", "railway", "terminal"),
    ),
    "wastewater plant": Phrases(
        "wastewater plant", "wastewater plants", "round basins with turning arms and long tanks on one fenced site",
        (),
        (
            "where dirty water from thousands of households is cleaned before it flows on",
            "where slow arms turn in round basins so that sludge settles to the bottom",
            "without which the town's drains would foul every stream nearby",
            "where bacteria in open basins eat what the drains bring in",
            "where an engineer would measure how clean the water is before letting it go",
            "that neighbours might smell on a warm evening when its basins are open to the air",
        ),
        ("wastewater", "sewage", "treatment", "sewer"),
    ),
    "wind turbine": Phrases(
        "wind turbine", "wind turbines", "a white tower with three blades and a long shadow on an open plot",
        (
            "where moving air is turned into electricity high above the ground",
            "that would stand still on a calm day and turn fast in a gale",
            "where three long blades circle above a slender tower",
            "that bats and birds of prey have to avoid because of its sweeping blades",
            "where a technician climbs eighty metres to reach the gearbox",
        ),
        (
            "that earns its owner most money when a storm front comes through",
            "whose moving shadow would flicker over nearby rooms at low sun",
            "where a gust sets long blades turning and current begins to flow",
            "that is braked in a hurricane so that its blades are not torn off",
        ),
        ("turbine", "windmill", "wind"),
    ),
    "woodland": Phrases(
        "woodland", "woodlands", "a dense, dark texture of tree crowns with an irregular edge",
        (
            "where deer could hide by day under a closed roof of leaves",
            "where hikers would find shade and mushrooms in autumn",
            "that stores most carbon here because its plants live for a century",
            "where a dropped cigarette in a drought would start the largest blaze",
            "where timber could be cut without clearing any crop",
        ),
        (
            "where owls would nest because the crowns close above them",
            "that keeps the soil from washing away with roots that go deep",
            "where the air stays cool at noon because leaves hold the sunlight off",
            "where a walker could lose the way because every trunk looks alike",
        ),
        ("wood", "forest", "tree", "grove"),
    ),
}  # fmt: skip
