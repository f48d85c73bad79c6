"""The sentences that questions and answers are made of, in English and French.

Slots: X the entry, V its value, F the field's name; in French `le_F`, `du_F`, `quel_F` carry the article, `de_X` the
elision; `doc`, `le_doc` is what the document is called ("the list", « le guide »); T a heading or phrase in quotation
marks; S the section in quotation marks. What depends on gender is filled in by `french.Noun`.
"""

from typing import NamedTuple


class Frames(NamedTuple):
    """Ways to ask, and ways to answer any of them."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]


EN: dict[str, Frames] = {
    "field": Frames(
        (
            "What {is_F} the {F} of {X}?",
            "What {F} {is_F} given for {X}?",
            "According to {le_doc}, what {is_F} the {F} of {X}?",
            "Can you tell me the {F} of {X}?",
            "Tell me the {F} of {X}.",
            "I need to know the {F} of {X}.",
            "What does {le_doc} give as the {F} of {X}?",
            "Which {F} does {le_doc} give for {X}?",
            "Could you look up the {F} of {X}?",
            "{X}: what {is_F} the {F}?",
            "For {X}, what {F} {is_F} listed?",
            "Please give me the {F} of {X}.",
        ),
        (
            "The {F} of {X} {is_F} {V}.",
            "{V}",
            "According to {le_doc}, the {F} of {X} {is_F} {V}.",
            "{X} has the following {F}: {V}.",
            "For {X}, {le_doc} gives this: {V}.",
        ),
    ),
    "quoted-field": Frames(
        (
            "What does {le_doc} give under {F} for {X}?",
            "What stands under {F} for {X}?",
            "In {le_doc}, what is the entry for {X} under {F}?",
            "What is noted for {X} under {F}?",
            "Please look up {F} for {X}.",
            "Can you tell me what {le_doc} says under {F} for {X}?",
        ),
        (
            "Under {F}, {le_doc} gives for {X}: {V}.",
            "{V}",
            "For {X}, {F} is given as {V}.",
        ),
    ),
    "licence": Frames(
        (
            "Under which {licence} is {X} released?",
            "What {licence} does {X} use?",
            "How is {X} licensed?",
            "Which {licence} applies to {X}?",
            "What is the {licence} of {X}?",
            "Can you tell me the {licence} of {X}?",
            "I want to reuse {X}. What is its {licence}?",
            "According to {le_doc}, under which {licence} is {X} available?",
            "Which {licence} does {le_doc} give for {X}?",
            "{X}: which {licence}?",
        ),
        (
            "{X} is released under {V}.",
            "{V}",
            "The {licence} of {X} is {V}.",
            "According to {le_doc}, {X} is available under {V}.",
            "{Le_doc} gives {V} as the {licence} of {X}.",
            "It is {V}.",
        ),
    ),
    "platform": Frames(
        (
            "Which platforms does {le_doc} give for {X}?",
            "What languages or platforms are listed for {X}?",
            "What is {X} built with or packaged for, according to {le_doc}?",
            "Which language or platform is noted for {X}?",
            "What does {le_doc} say about the platform of {X}?",
            "For {X}, which platforms are listed?",
            "Tell me which languages or platforms {le_doc} notes for {X}.",
            "I would like to install {X}. Which platforms does {le_doc} name?",
        ),
        (
            "{V}",
            "For {X}, {le_doc} names {V}.",
            "{X} is listed with {V}.",
            "According to {le_doc}: {V}.",
            "{Le_doc} notes {V} for {X}.",
        ),
    ),
    "description": Frames(
        (
            "What is {X}?",
            "What does {le_doc} say about {X}?",
            "How does {le_doc} describe {X}?",
            "Tell me about {X}.",
            "Give me a short description of {X}.",
            "I came across {X}. What is it?",
            "What should I know about {X}?",
            "Can you describe {X}?",
            "In a few words, what is {X}?",
            "Could you explain what {X} is?",
            "What is {X} described as?",
            "Introduce {X} to me.",
        ),
        (
            "{D}",
            "{X}: {D}",
            "{Le_doc} describes {X} as follows: {D}",
            "According to {le_doc}: {D}",
            "{D}{about_S}",
            "Here is how {le_doc} puts it: {D}",
        ),
    ),
    "overview": Frames(
        (
            "Give me an overview of {X}.",
            "Summarise what {le_doc} says about {X}.",
            "I am considering {X}. What does {le_doc} tell me about it?",
            "What are the main facts about {X}?",
            "Please present {X} with its details.",
            "What do I need to know before I choose {X}?",
            "Show me the entry for {X}.",
            "Sum up {X} for me, with the details that are listed.",
        ),
        ("{D}{details}", "{X}: {D}{details}"),
    ),
    "section": Frames(
        (
            "In which section of {le_doc} is {X}?",
            "Under which heading is {X} listed?",
            "Where in {le_doc} can I find {X}?",
            "Which section does {X} belong to?",
            "What category is {X} listed in?",
            "How does {le_doc} classify {X}?",
        ),
        (
            "{X} is listed under {S}.",
            "Under {S}.",
            "In {le_doc}, {X} stands under {S}.",
            "You will find {X} in the section {S}.",
            "{X} belongs to the section {S}.",
        ),
    ),
    "reverse": Frames(
        (
            "Which entry of {le_doc} is described like this: {T}?",
            "What is the name of the entry described as {T}?",
            "I am looking for this: {T}. Which entry of {le_doc} is it?",
            "{Le_doc} has one entry described as {T}. Which one?",
            "Name the entry that {le_doc} describes as {T}.",
        ),
        (
            "{X}",
            "It is {X}.",
            "This is how {le_doc} describes {X}.",
            "That would be {X}.",
            "The entry is {X}.",
        ),
    ),
    "is": Frames(
        (
            "Is {V} the {F} of {X}?",
            "Does {le_doc} give {V} as the {F} of {X}?",
            "Is it right that the {F} of {X} is {V}?",
            "Is the {F} of {X} {V}?",
        ),
        ("Yes, the {F} of {X} is {V}.", "Yes.", "Yes, {le_doc} gives {V} for {X}.", "Yes, it is {V}."),
    ),
    "is-not": Frames(
        (
            "Is {W} the {F} of {X}?",
            "Does {le_doc} give {W} as the {F} of {X}?",
            "Is it right that the {F} of {X} is {W}?",
            "Is the {F} of {X} {W}?",
        ),
        (
            "No, the {F} of {X} is {V}.",
            "No. For {X}, {le_doc} gives {V}.",
            "No, not {W} but {V}.",
            "No, according to {le_doc} it is {V}.",
        ),
    ),
    "which": Frames(
        (
            "Which {entries}{in_S} have the {F} {V}?",
            "Name the {entries}{in_S} whose {F} is {V}.",
            "For which {entries}{of_S} does {le_doc} give {V} as the {F}?",
            "List the {entries}{in_S} with the {F} {V}.",
            "I am looking for {entries}{in_S} with the {F} {V}. Which are there?",
        ),
        ("{L}.", "{L} {have} the {F} {V}.", "{Le_doc} names {L}.", "There {are} {n}: {L}.", "These: {L}."),
    ),
    "quoted-which": Frames(
        (
            "Which {entries}{in_S} have {V} under {F}?",
            "Name the {entries}{in_S} that have {V} under {F}.",
            "For which {entries}{of_S} does {le_doc} give {V} under {F}?",
        ),
        ("{L}.", "{Le_doc} gives it for {L}.", "There {are} {n}: {L}."),
    ),
    "count": Frames(
        (
            "How many {entries} are in the section {S}?",
            "How many {entries} does {le_doc} list under {S}?",
            "What number of {entries} is listed under {S}?",
            "Count the {entries} under {S}.",
        ),
        (
            "{Le_doc} lists {n} {entries_n} under {S}.",
            "{n}",
            "There {are} {n}: {L}.",
            "The section {S} has {n} {entries_n}: {L}.",
        ),
    ),
    "long-count": Frames(
        (
            "How many {entries} are in the section {S}?",
            "How many {entries} does {le_doc} list under {S}?",
            "What number of {entries} is listed under {S}?",
            "Count the {entries} under {S}.",
        ),
        (
            "{Le_doc} lists {n} {entries_n} under {S}.",
            "{n}",
            "There {are} {n}.",
            "The section {S} has {n} {entries_n}.",
        ),
    ),
    "list": Frames(
        (
            "Which {entries} are listed under {S}?",
            "What does the section {S} of {le_doc} contain?",
            "Name the {entries} in the section {S}.",
            "What can I find under {S} in {le_doc}?",
        ),
        ("{L}.", "The section {S} lists {L}.", "Under {S} there {are} {n}: {L}."),
    ),
    "common": Frames(
        (
            "What do {X} and {Y} have in common?",
            "According to {le_doc}, what do {X} and {Y} share?",
            "Compare {X} and {Y}: what is the same?",
            "Which details are the same for {X} and {Y}?",
        ),
        ("{X} and {Y} have {C}.", "Both have {C}.", "According to {le_doc}, {X} and {Y} have {C}."),
    ),
    "same": Frames(
        (
            "Do {X} and {Y} have the same {F}?",
            "Is the {F} of {X} the same as that of {Y}?",
            "{X} and {Y}: is the {F} the same?",
        ),
        ("Yes, the {F} of both is {V}.", "Yes, it is {V} for both.", "Yes: {V}."),
    ),
    "not-same": Frames(
        (
            "Do {X} and {Y} have the same {F}?",
            "Is the {F} of {X} the same as that of {Y}?",
            "{X} and {Y}: is the {F} the same?",
        ),
        (
            "No, the {F} of {X} is {V}, and that of {Y} is {W}.",
            "No: {V} for {X}, but {W} for {Y}.",
            "No. {X}: {V}; {Y}: {W}.",
        ),
    ),
    "different": Frames(
        (
            "How do {X} and {Y} differ in their {F}?",
            "Compare the {F} of {X} and {Y}.",
            "What is the difference in {F} between {X} and {Y}?",
            "{X} or {Y}: which has which {F}?",
        ),
        (
            "The {F} of {X} is {V}, and that of {Y} is {W}.",
            "They differ: {V} for {X} and {W} for {Y}.",
            "{X}: {V}; {Y}: {W}.",
        ),
    ),
    "not-said": Frames(
        (
            "What is the {F} of {X}?",
            "Can you tell me the {F} of {X}?",
            "Which {F} does {le_doc} give for {X}?",
            "According to {le_doc}, what is the {F} of {X}?",
        ),
        (
            "{Le_doc} does not say.",
            "{Le_doc} does not give the {F} of {X}.",
            "I cannot tell: {le_doc} gives no {F} for {X}.",
            "The {F} of {X} is not given in {le_doc}.",
        ),
    ),
    "text": Frames(
        (
            "What does {le_doc} say about {T}?",
            "What can I read in {le_doc} under {T}?",
            "Summarise the section {T} in the words of {le_doc}.",
            "What does the section {T} of {le_doc} say?",
            "What should I know about {T}?",
            "Explain {T} the way {le_doc} does.",
            "What does {le_doc} explain under {T}?",
            "Please tell me what {le_doc} says on {T}.",
        ),
        ("{D}", "{D}", "According to {le_doc}:\n\n{D}", "This is what {le_doc} says:\n\n{D}"),
    ),
    "text-begin": Frames(
        (
            "How does the section {T} of {le_doc} begin?",
            "What does {le_doc} say at the beginning of {T}?",
            "Quote the beginning of the section {T}.",
            "What is said first under {T}?",
        ),
        ("{D}", "{D}", "It begins like this:\n\n{D}"),
    ),
    "intro": Frames(
        (
            "How does {le_titled} begin?",
            "What does the introduction of {le_titled} say?",
            "How does {le_titled} introduce its subject?",
            "What is {le_titled} about, in its own words?",
        ),
        ("{D}", "{D}", "It begins like this:\n\n{D}"),
    ),
    "how": Frames(
        (
            "How do I {H}?",
            "How can I {H}?",
            "What does {le_doc} say on how to {H}?",
            "I want to {H}. What does {le_doc} say?",
            "Explain how to {H}.",
            "What should I do to {H}?",
        ),
        ("{D}", "{D}", "According to {le_doc}:\n\n{D}"),
    ),
    "gerund": Frames(
        (
            "What does {le_doc} say about {H}?",
            "What should I know about {H}?",
            "What does {le_doc} explain about {H}?",
            "Tell me what {le_doc} says about {H}.",
        ),
        ("{D}", "{D}", "According to {le_doc}:\n\n{D}"),
    ),
    "question": Frames(
        (
            "{Q}",
            "According to {le_doc}: {q}",
            "What does {le_doc} answer to the question {T}?",
            "I have a question: {q}",
            "Please answer with the help of {le_doc}: {q}",
        ),
        ("{D}", "{D}", "According to {le_doc}:\n\n{D}"),
    ),
    "point": Frames(
        (
            "What does {le_doc} say about {T}?",
            "What does {le_doc} add on {T}?",
            "What should I know about {T}?",
            "What is said about {T}?",
            "Explain {T} in the words of {le_doc}.",
            "What does {le_doc} point out about {T}?",
        ),
        ("{D}", "{D}", "{Le_doc} says: {D}"),
    ),
    "advice": Frames(
        (
            "What does {le_doc} say on this point: {T}?",
            "How does {le_doc} explain this point: {T}?",
            "What details does {le_doc} give on this point: {T}?",
            "{Le_doc} says: {T}. What else does it say there?",
        ),
        ("{D}", "{D}", "{Le_doc} says: {D}"),
    ),
    "points": Frames(
        (
            "Which points does {le_doc} list under {T}?",
            "What are the points of the section {T}?",
            "List the points that {le_doc} makes under {T}.",
            "Give me the key points of {T} as {le_doc} lists them.",
        ),
        ("{D}", "{D}", "{Le_doc} lists:\n\n{D}"),
    ),
    "where": Frames(
        (
            "Where in {le_doc} is {T} mentioned?",
            "In which section of {le_doc} do I find {T}?",
            "Which section of {le_doc} deals with {T}?",
        ),
        ("In the section {S}.", "Under {S}.", "{S}", "It is in the section {S}."),
    ),
}

FR: dict[str, Frames] = {
    "field": Frames(
        (
            "{Quel_est} {le_F} {de_X} ?",
            "{Quel_F} {est_F} {indique_F} pour {X} ?",
            "D’après {le_doc}, {quel_est} {le_F} {de_X} ?",
            "Peux-tu me donner {le_F} {de_X} ?",
            "Donne-moi {le_F} {de_X}.",
            "J’aimerais connaître {le_F} {de_X}.",
            "Que dit {le_doc} {du_F} {de_X} ?",
            "Pouvez-vous m’indiquer {le_F} {de_X} ?",
            "{X} : {quel_est} {le_F} ?",
            "Je cherche {le_F} {de_X}.",
            "Pour {X}, {quel_F} trouve-t-on dans {le_doc} ?",
            "Sais-tu {quel_est} {le_F} {de_X} ?",
        ),
        (
            "{Le_F} {de_X} {est_F} {V}.",
            "{V}",
            "D’après {le_doc}, {le_F} {de_X} {est_F} {V}.",
            "Pour {X}, {le_doc} indique : {V}.",
            "{Le_F} {indique_F} pour {X} {est_F} {V}.",
        ),
    ),
    "quoted-field": Frames(
        (
            "Que donne {le_doc} pour {X} à la rubrique {F} ?",
            "Qu’est-il indiqué pour {X} à la rubrique {F} ?",
            "Pour {X}, que trouve-t-on à la rubrique {F} ?",
            "Peux-tu me dire ce que {le_doc} indique pour {X} à la rubrique {F} ?",
            "Quelle est la valeur de la rubrique {F} pour {X} ?",
            "Je voudrais savoir ce que dit la rubrique {F} pour {X}.",
        ),
        (
            "À la rubrique {F}, {le_doc} indique pour {X} : {V}.",
            "{V}",
            "Pour {X}, la rubrique {F} indique : {V}.",
        ),
    ),
    "licence": Frames(
        (
            "Quelle est la licence {de_X} ?",
            "Sous quelle licence trouve-t-on {X} ?",
            "De quelle licence relève {X} ?",
            "Quelle licence s’applique à {X} ?",
            "Peux-tu m’indiquer la licence {de_X} ?",
            "D’après {le_doc}, quelle est la licence {de_X} ?",
            "Je souhaite réutiliser {X} : quelle en est la licence ?",
            "{X} : quelle licence ?",
            "Quelle licence {le_doc} donne-t-{il_doc} pour {X} ?",
            "Pouvez-vous me dire de quelle licence relève {X} ?",
        ),
        (
            "{X} est sous licence {V}.",
            "{V}",
            "La licence {de_X} est {V}.",
            "D’après {le_doc}, {X} relève de la licence {V}.",
            "La licence indiquée pour {X} est {V}.",
            "C’est la licence {V}.",
        ),
    ),
    "platform": Frames(
        (
            "Quelles plateformes {le_doc} indique-t-{il_doc} pour {X} ?",
            "Quels langages ou plateformes sont indiqués pour {X} ?",
            "Pour {X}, quelles plateformes sont mentionnées ?",
            "Avec quels langages ou sur quelles plateformes trouve-t-on {X} ?",
            "Je voudrais installer {X} : quelles plateformes {le_doc} cite-t-{il_doc} ?",
        ),
        ("{V}", "Pour {X}, {le_doc} indique {V}.", "D’après {le_doc} : {V}."),
    ),
    "description": Frames(
        (
            "Qu’est-ce que {X} ?",
            "Que dit {le_doc} {de_X} ?",
            "Comment {le_doc} décrit-{il_doc} {X} ?",
            "Décris-moi {X} en quelques mots.",
            "Peux-tu me présenter {X} ?",
            "Je ne connais pas {X} : de quoi s’agit-il ?",
            "Que faut-il savoir {de_X} ?",
            "Pouvez-vous m’expliquer ce qu’est {X} ?",
            "En bref, qu’est-ce que {X} ?",
            "Donne-moi une courte description {de_X}.",
        ),
        (
            "{D}",
            "{X} : {D}",
            "D’après {le_doc} : {D}",
            "Voici ce qu’en dit {le_doc} : {D}",
            "{D}{about_S}",
        ),
    ),
    "function": Frames(
        (
            "À quoi sert {X} ?",
            "{Quel_est} {le_F} {de_X} ?",
            "Que permet {X} ?",
            "Pour quel usage {le_doc} mentionne-t-{il_doc} {X} ?",
            "Peux-tu me dire à quoi sert {X} ?",
            "Je ne connais pas {X} : à quoi cela sert-il ?",
            "D’après {le_doc}, à quoi sert {X} ?",
            "Dans quel but utilise-t-on {X} ?",
            "Pouvez-vous m’indiquer {le_F} {de_X} ?",
            "{X}, à quoi ça sert ?",
        ),
        (
            "{Le_F} {indique_F} pour {X} {est_F} {T}.",
            "{V_capital}.",
            "D’après {le_doc}, {X} a {le_F} suivant{e_F} : {T}.",
            "{X} : {V_lower}.",
            "{Le_doc} indique {le_F} suivant{e_F} : {T}.",
            "Voici {le_F} {de_X} : {V_lower}.",
        ),
    ),
    "overview": Frames(
        (
            "Présente-moi {X} avec ses caractéristiques.",
            "Que faut-il retenir {de_X} ?",
            "Résume ce que {le_doc} indique pour {X}.",
            "Quelles informations {le_doc} donne-t-{il_doc} sur {X} ?",
            "Je m’intéresse à {X} : que m’apprend {le_doc} ?",
            "Donne-moi les informations principales sur {X}.",
            "Peux-tu faire une fiche sur {X} ?",
        ),
        ("{D}{details}", "{X} : {D}{details}"),
    ),
    "section": Frames(
        (
            "Dans quelle partie {du_doc} figure {X} ?",
            "Sous quel titre trouve-t-on {X} ?",
            "Où se trouve {X} dans {le_doc} ?",
            "Comment {le_doc} classe-t-{il_doc} {X} ?",
            "À quelle partie appartient {X} ?",
            "Dans quelle catégorie {le_doc} range-t-{il_doc} {X} ?",
        ),
        (
            "{X} figure dans la partie {S}.",
            "Dans la partie {S}.",
            "{Le_doc} range {X} sous {S}.",
            "On trouve {X} sous le titre {S}.",
            "{S}",
        ),
    ),
    "reverse": Frames(
        (
            "{Quel_entree} {du_doc} correspond à cette description : {T} ?",
            "Comment s’appelle {le_entree} {du_doc} décrit{e_entree} ainsi : {T} ?",
            "Je cherche ceci : {T}. De {quel_entree} {du_doc} s’agit-il ?",
            "Que propose {le_doc} pour {T} ?",
        ),
        ("{X}", "Il s’agit {de_X}.", "C’est {X}.", "Cela correspond à {X}."),
    ),
    "is": Frames(
        (
            "Est-ce que {le_F} {de_X} est {V} ?",
            "{Le_F} {de_X} est-{il_F} {V} ?",
            "{Le_doc} donne-t-{il_doc} {V} comme {F} {de_X} ?",
            "Je crois que {le_F} {de_X} est {V}. Est-ce exact ?",
        ),
        (
            "Oui, {le_F} {de_X} est {V}.",
            "Oui.",
            "Oui, c’est bien {V}.",
            "Oui, {le_doc} indique {V} pour {X}.",
        ),
    ),
    "is-not": Frames(
        (
            "Est-ce que {le_F} {de_X} est {W} ?",
            "{Le_F} {de_X} est-{il_F} {W} ?",
            "{Le_doc} donne-t-{il_doc} {W} comme {F} {de_X} ?",
        ),
        (
            "Non, {le_F} {de_X} est {V}.",
            "Non. Pour {X}, {le_doc} indique {V}.",
            "Non, ce n’est pas {W}, mais {V}.",
            "Non, d’après {le_doc}, c’est {V}.",
        ),
    ),
    "which": Frames(
        (
            "{Quels_entrees}{in_S} ont {le_F} {V} ?",
            "Cite les {entrees}{in_S} dont {le_F} est {V}.",
            "Pour {quels_entrees}{of_S} {le_doc} donne-t-{il_doc} {V} comme {F} ?",
            "Donne-moi la liste des {entrees}{in_S} avec {V} comme {F}.",
            "Je cherche les {entrees}{in_S} qui ont {le_F} {V}. Que trouve-t-on ?",
        ),
        (
            "{L}.",
            "{L} ont {le_F} {V}.",
            "{Le_doc} cite {L}.",
            "Il y en a {n} : {L}.",
        ),
    ),
    "quoted-which": Frames(
        (
            "{Quels_entrees}{in_S} portent {V} à la rubrique {F} ?",
            "Cite les {entrees}{in_S} qui portent {V} à la rubrique {F}.",
            "Pour {quels_entrees}{of_S} {le_doc} indique-t-{il_doc} {V} à la rubrique {F} ?",
        ),
        ("{L}.", "{Le_doc} l’indique pour {L}.", "Il y en a {n} : {L}."),
    ),
    "count": Frames(
        (
            "Combien {d_entrees} compte la partie {S} ?",
            "Combien {d_entrees} figurent dans la partie {S} ?",
            "Combien {d_entrees} {le_doc} range-t-{il_doc} sous {S} ?",
            "Quel est le nombre {d_entrees} dans la partie {S} ?",
        ),
        (
            "La partie {S} compte {n} {entrees_n}.",
            "{n}",
            "Il y en a {n} : {L}.",
            "{Le_doc} en cite {n} : {L}.",
        ),
    ),
    "long-count": Frames(
        (
            "Combien {d_entrees} compte la partie {S} ?",
            "Combien {d_entrees} figurent dans la partie {S} ?",
            "Combien {d_entrees} {le_doc} range-t-{il_doc} sous {S} ?",
            "Quel est le nombre {d_entrees} dans la partie {S} ?",
        ),
        (
            "La partie {S} compte {n} {entrees_n}.",
            "{n}",
            "Il y en a {n}.",
            "{Le_doc} en compte {n} sous {S}.",
        ),
    ),
    "list": Frames(
        (
            "{Quels_entrees} figurent dans la partie {S} ?",
            "Que contient la partie {S} {du_doc} ?",
            "Cite les {entrees} de la partie {S}.",
            "Que trouve-t-on sous {S} dans {le_doc} ?",
        ),
        ("{L}.", "La partie {S} cite {L}.", "On y trouve {n} {entrees_n} : {L}."),
    ),
    "common": Frames(
        (
            "Qu’ont en commun {X} et {Y} ?",
            "Quels points communs {le_doc} indique-t-{il_doc} entre {X} et {Y} ?",
            "Compare {X} et {Y} : qu’est-ce qui est identique ?",
            "{X} et {Y} : quels points communs ?",
        ),
        ("{X} et {Y} ont {C}.", "Les deux ont {C}.", "D’après {le_doc}, {X} et {Y} ont {C}."),
    ),
    "same": Frames(
        (
            "Est-ce que {X} et {Y} ont {meme_F} ?",
            "{X} et {Y} : {meme_F} ?",
            "Peux-tu me dire si {X} et {Y} ont {meme_F} ?",
        ),
        (
            "Oui, {le_F} est {V} dans les deux cas.",
            "Oui : {V}.",
            "Oui, {X} et {Y} ont {meme_F} : {V}.",
        ),
    ),
    "not-same": Frames(
        (
            "Est-ce que {X} et {Y} ont {meme_F} ?",
            "{X} et {Y} : {meme_F} ?",
            "Peux-tu me dire si {X} et {Y} ont {meme_F} ?",
        ),
        (
            "Non, {le_F} {de_X} est {V}, {celui_F} {de_Y} est {W}.",
            "Non : {V} pour {X}, {W} pour {Y}.",
            "Non. {X} : {V} ; {Y} : {W}.",
        ),
    ),
    "different": Frames(
        (
            "Quelle différence y a-t-il entre {le_F} {de_X} et {celui_F} {de_Y} ?",
            "Compare {le_F} {de_X} et {celui_F} {de_Y}.",
            "En quoi {le_F} {de_X} diffère-t-{il_F} de {celui_F} {de_Y} ?",
        ),
        (
            "{Le_F} {de_X} est {V}, {celui_F} {de_Y} est {W}.",
            "{X} : {V} ; {Y} : {W}.",
            "{Le_F} {de_X} est {V}, tandis que {celui_F} {de_Y} est {W}.",
        ),
    ),
    "not-said": Frames(
        (
            "{Quel_est} {le_F} {de_X} ?",
            "Peux-tu me donner {le_F} {de_X} ?",
            "D’après {le_doc}, {quel_est} {le_F} {de_X} ?",
            "{X} : {quel_est} {le_F} ?",
        ),
        (
            "{Le_doc} ne le précise pas.",
            "{Le_doc} n’indique pas {le_F} {de_X}.",
            "Je ne peux pas le dire : {le_doc} n’indique pas {le_F} {de_X}.",
            "Cette information ne figure pas dans {le_doc}.",
        ),
    ),
    "text": Frames(
        (
            "Que dit {le_doc} sous le titre {T} ?",
            "Que faut-il retenir de la partie {T} {du_doc} ?",
            "Que contient la partie {T} {du_doc} ?",
            "Qu’explique {le_doc} dans la partie {T} ?",
            "J’aimerais savoir ce que dit {le_doc} à propos de {T}.",
            "Peux-tu me rapporter ce que dit {le_doc} sur {T} ?",
            "Que faut-il savoir sur {T} ?",
            "Que nous apprend {le_doc} au sujet de {T} ?",
        ),
        ("{D}", "{D}", "D’après {le_doc} :\n\n{D}", "Voici ce que dit {le_doc} :\n\n{D}"),
    ),
    "text-begin": Frames(
        (
            "Comment commence la partie {T} {du_doc} ?",
            "Que dit {le_doc} au début de la partie {T} ?",
            "Cite le début de la partie {T}.",
            "Par quoi commence la partie {T} ?",
        ),
        ("{D}", "{D}", "Elle commence ainsi :\n\n{D}"),
    ),
    "intro": Frames(
        (
            "Comment commence {le_titled} ?",
            "Que dit l’introduction {du_titled} ?",
            "Comment {le_titled} présente-t-{il_doc} son sujet ?",
            "Par quoi commence {le_titled} ?",
        ),
        ("{D}", "{D}", "Voici comment {il_doc} commence :\n\n{D}"),
    ),
    "how": Frames(
        (
            "Comment {H} ?",
            "Que recommande {le_doc} pour {H} ?",
            "Que dit {le_doc} sur la façon de {H} ?",
            "Je voudrais {H} : que dit {le_doc} ?",
            "Explique-moi comment {H}.",
            "Que faut-il faire pour {H} ?",
            "D’après {le_doc}, comment {H} ?",
        ),
        ("{D}", "{D}", "D’après {le_doc} :\n\n{D}", "Voici ce que dit {le_doc} :\n\n{D}"),
    ),
    "question": Frames(
        (
            "{Q}",
            "D’après {le_doc}, {q}",
            "Que répond {le_doc} à la question {T} ?",
            "J’ai une question : {q}",
            "Peux-tu répondre à l’aide {du_doc} : {q}",
        ),
        ("{D}", "{D}", "D’après {le_doc} :\n\n{D}"),
    ),
    "point": Frames(
        (
            "Que dit {le_doc} au sujet de {T} ?",
            "Que précise {le_doc} à propos de {T} ?",
            "Que faut-il savoir sur {T} ?",
            "Qu’apprend-on dans {le_doc} sur {T} ?",
            "Que dit {le_doc} lorsqu’{il_doc} évoque {T} ?",
            "Peux-tu me rapporter ce que {le_doc} dit de {T} ?",
        ),
        ("{D}", "{D}", "{Le_doc} précise : {D}"),
    ),
    "advice": Frames(
        (
            "Que dit {le_doc} sur ce point : {T} ?",
            "Comment {le_doc} développe-t-{il_doc} ce point : {T} ?",
            "Quelles précisions {le_doc} donne-t-{il_doc} sur ce point : {T} ?",
            "{Le_doc} écrit : {T}. Que précise-t-{il_doc} à ce sujet ?",
        ),
        ("{D}", "{D}", "{Le_doc} précise : {D}"),
    ),
    "points": Frames(
        (
            "Quels points {le_doc} énumère-t-{il_doc} dans la partie {T} ?",
            "Quels sont les points abordés dans la partie {T} ?",
            "Énumère les points de la partie {T} {du_doc}.",
            "Donne-moi les points essentiels de la partie {T}.",
        ),
        ("{D}", "{D}", "{Le_doc} énumère les points suivants :\n\n{D}"),
    ),
    "where": Frames(
        (
            "Dans quelle partie {du_doc} est-il question de {T} ?",
            "Où {le_doc} parle-t-{il_doc} de {T} ?",
            "Quelle partie {du_doc} évoque {T} ?",
        ),
        ("Dans la partie {S}.", "{S}", "Il en est question dans la partie {S}."),
    ),
}
FRAMES = {"en": EN, "fr": FR}
