"""Italian words for the codes of an invoice; a code that is not here is shown as it stands."""

DOCUMENTS = {
    "TD01": "Fattura",
    "TD02": "Acconto su fattura",
    "TD03": "Acconto su parcella",
    "TD04": "Nota di credito",
    "TD05": "Nota di debito",
    "TD06": "Parcella",
    "TD07": "Fattura semplificata",
    "TD08": "Nota di credito semplificata",
    "TD09": "Nota di debito semplificata",
    "TD10": "Acquisto intracomunitario di beni",
    "TD11": "Acquisto intracomunitario di servizi",
    "TD12": "Documento riepilogativo",
    "TD16": "Integrazione per inversione contabile interna",
    "TD17": "Integrazione per servizi dall'estero",
    "TD18": "Integrazione per beni intracomunitari",
    "TD19": "Integrazione per beni, art. 17 c. 2",
    "TD20": "Autofattura per regolarizzazione",
    "TD21": "Autofattura per splafonamento",
    "TD22": "Estrazione da deposito IVA",
    "TD23": "Estrazione da deposito IVA con versamento",
    "TD24": "Fattura differita",
    "TD25": "Fattura differita, triangolare",
    "TD26": "Cessione di beni ammortizzabili",
    "TD27": "Autoconsumo o cessioni gratuite",
    "TD28": "Acquisti da San Marino",
    "TD29": "Comunicazione di omessa o irregolare fatturazione",
}
CREDIT_NOTES = frozenset(("TD04", "TD08"))
METHODS = {
    "MP01": "Contanti",
    "MP02": "Assegno",
    "MP03": "Assegno circolare",
    "MP05": "Bonifico",
    "MP06": "Vaglia cambiario",
    "MP07": "Bollettino bancario",
    "MP08": "Carta di pagamento",
    "MP12": "RIBA",
    "MP13": "MAV",
    "MP15": "Giroconto su conti di contabilità speciale",
    "MP16": "Domiciliazione bancaria",
    "MP18": "Bollettino postale",
    "MP19": "SEPA Direct Debit",
    "MP20": "SEPA Direct Debit CORE",
    "MP21": "SEPA Direct Debit B2B",
    "MP22": "Trattenuta su somme già riscosse",
    "MP23": "PagoPA",
}
CONDITIONS = {"TP01": "a rate", "TP02": "completo", "TP03": "anticipo"}
NATURES = {
    "N1": "Escluse ex art. 15",
    "N2": "Non soggette",
    "N3": "Non imponibili",
    "N4": "Esenti",
    "N5": "Regime del margine",
    "N6": "Inversione contabile",
    "N7": "IVA assolta in altro Stato UE",
}
DUE = {"I": "Immediata", "D": "Differita", "S": "Scissione dei pagamenti"}
RELATED = {
    "order": "Ordine",
    "contract": "Contratto",
    "agreement": "Convenzione",
    "receipt": "Ricezione",
    "invoice": "Fattura collegata",
    "delivery": "DDT",
}
SIGNATURES = {
    "absent": "non firmata",
    "intact": "firma integra",
    "broken": "firma non valida: il documento è stato alterato dopo la firma",
    "unverified": "firma non verificata",
}
WITHHOLDINGS = {
    "RT01": "Ritenuta persone fisiche",
    "RT02": "Ritenuta persone giuridiche",
    "RT03": "Contributo INPS",
    "RT04": "Contributo ENASARCO",
    "RT05": "Contributo ENPAM",
    "RT06": "Altro contributo previdenziale",
}
DISCOUNTS = {"SC": "Sconto", "MG": "Maggiorazione"}


def nature(code: str | None) -> str:
    """`N2.2` as `N2.2 Non soggette`."""
    word = NATURES.get((code or "").partition(".")[0])
    return f"{code} {word}" if word else (code or "")
