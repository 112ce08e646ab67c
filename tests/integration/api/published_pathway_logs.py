"""The published bodies and answer of the pathway logs face, word for word.

The answer is cut where it says `...etc`, has the comma that is missing after an ID, and the
story's content has the ID of its activity, which is the one that there is here.
"""

import json
from typing import Any

PATHWAY_A = """{
    pathway : "Pathway A"
  }"""
ONE_TYPE = """{
    "pathway" : "Pathway A",
    "types" : ["Data Target"]
  }"""
SEVERAL_TYPES = """{
    "pathway" : "Pathway A",
    "types" : ["Data Target","Certificates","Stories",...]
  }"""
ONE_USER = """{
    "pathway" : "Pathway A",
    "users" : ["joe.soap@example.com"]
  }"""
SEVERAL_USERS = """{
    "pathway" : "Pathway A",
    "user" : ["joe.soap@example.com","user.two@example.com",...etc],
    "types" : ["Data Target","Assessments","Stories",...]
  }"""
ONE_ACTIVITY = """{
    "pathway" : "Pathway A",
    "activities" : ["Story A"]
  }"""
SEVERAL_ACTIVITIES = """{
    "pathway" : "Pathway A",
    "activities" : ["Story A","Video A","Audio A",..etc]
  }"""

ANSWER: dict[str, Any] = json.loads("""
{
    "status": "success",
    "data": [
        {
            "pathway": {
                "name": "Become A Store Owner",
                "type": "pathway",
                "ID": "EV67-ZCNS-56AD"
            },
            "activities": [
                {
                    "ID": "EVPA-WVZF-56QJ",
                    "name": "Data Tracking",
                    "type": "data",
                    "fulfilmentType": "tracking",
                    "required": true,
                    "level": 1,
                    "stats": {
                        "total": 2,
                        "completed": 2
                    },
                    "logs": [
                        {
                            "firstname": "User",
                            "lastname": "One",
                            "email": "user.one@example.com",
                            "telephone": "",
                            "country": "South Africa",
                            "city": "Cape Town",
                            "groups": [
                                "Group A",
                                "Group B"
                            ],
                            "status": {
                                "complete": true,
                                "progress": 100,
                                "state": "completed",
                                "timestamp": "2022-02-24T15:09:57+02:00"
                            },
                            "fulfilment": {
                                "type": "data",
                                "state": "completed",
                                "progress": 100,
                                "data": {
                                    "category": "Current Score",
                                    "current": 500,
                                    "target": 159
                                },
                                "timestamp": "2022-02-24T15:09:57+02:00"
                            }
                        }
                    ]
                },
                {
                    "ID": "EVPA-KWOI-80AI",
                    "name": "Story A",
                    "type": "story",
                    "fulfilmentType": "complete",
                    "required": true,
                    "level": 1,
                    "stats": {
                        "total": 2,
                        "completed": 1
                    },
                    "logs": [
                        {
                            "firstname": "User",
                            "lastname": "One",
                            "email": "user.one@example.com",
                            "telephone": "",
                            "country": "South Africa",
                            "city": "Cape Town",
                            "groups": [
                                "Group A",
                                "Group B"
                            ],
                            "status": {
                                "complete": true,
                                "progress": 100,
                                "state": "completed",
                                "timestamp": "2022-02-24T14:56:56+02:00"
                            },
                            "fulfilment": {
                                "type": "story",
                                "state": "completed",
                                "progress": 100,
                                "story": {
                                    "ID": "EVPA-KWOI-80AI",
                                    "name": "Story A",
                                    "score": 100
                                },
                                "timestamp": "2022-02-24T14:56:56+02:00"
                            }
                        }
                    ]
                }
            ]
        }
    ],
    "hash": "bcce5ca8f5ea870a16f43c411136be31",
    "response_time": 0.22242403030395508
}
""")
